"""The session as other programs open it: names, times, units, numpy and xarray."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr

from rtrecon.session import api
from rtrecon.session.api import open_session
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import NotASessionError
from rtrecon.session.tables import ARRAYS_FOLDER
from tests.support import recorded_session as world
from tests.support import session_tables
from tests.support.paths import REPOSITORY

TABLES = ("frames", "activity", "stimulus", "behavior", "sync", "movie")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return world.record_session(tmp_path_factory.mktemp("recordings"))


@pytest.fixture(scope="module")
def session(folder):
    return open_session(folder)


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    return open_session(world.record_session(tmp_path_factory.mktemp("two"), 2))


def test_the_examples_of_the_documentation_run(folder):
    results = doctest.testmod(api, extraglobs={"folder": folder})
    assert (results.failed, results.attempted > 5) == (0, True)


def test_the_code_in_the_guide_runs(folder):
    guide = (REPOSITORY / "docs" / "session" / "index.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(block.replace("recordings/20260131-093000_1a2b3c4d", folder.as_posix()))


def test_rows_are_read_by_number_slice_and_further_indices(session):
    dff = session.dff
    assert dff[5].tolist() == [-5.0] * 3
    assert dff[-1].tolist() == [1.0 - world.N_FRAMES] * 3
    assert dff[3:6, 1].tolist() == [-3.0, -4.0, -5.0]
    assert dff[::100, 0].tolist() == [0.0, -100.0, -200.0, -300.0]
    assert np.asarray(dff).shape == dff.shape


def test_fluorescence_and_neuropil_are_the_other_traces(session):
    assert session.fluorescence[7].tolist() == [7.0] * 3
    assert session.neuropil[7].tolist() == [3.5] * 3


def test_arrays_have_the_session_s_time_and_the_ids(session):
    activity = session.activity.to_xarray()
    assert activity.dims == ("time", "neuron")
    assert activity["neuron"].values.tolist() == world.ROI_IDS[0]
    assert activity["encoder_frame"].values.tolist() == list(range(world.N_FRAMES))
    steps_s = np.diff(activity["time"].values)
    np.testing.assert_allclose(steps_s, 1 / world.RATE_HZ, rtol=1e-6)
    assert activity["time"].attrs["units"] == "s"
    first_s = session.clock.first_frame_s
    assert activity["time"].values[0] == pytest.approx(first_s)
    # A frame's trace and its activity have the same time.
    np.testing.assert_allclose(
        session.dff.to_xarray()["time"], activity["time"], atol=1e-6
    )


def test_the_movie_has_the_images_of_the_reader(session):
    frames, images = session._session.read_final_movie()
    movie = session.movie()
    assert np.array_equal(movie.coordinates["encoder_frame"].values, frames)
    assert np.array_equal(movie.to_numpy(), images)
    frames, images = session._session.read_movie_at_lag(3)
    at_lag = session.movie(lag_s=0.1)
    assert np.array_equal(at_lag.coordinates["encoder_frame"].values, frames)
    assert np.array_equal(at_lag[:10], images[:10])


def test_stimulus_and_masks_are_arrays_with_coordinates(session):
    assert np.array_equal(session.stimulus.to_numpy(), world.make_stimulus())
    masks = session.masks.to_xarray()
    assert masks.dims == ("roi", "y", "x")
    assert masks["roi"].values.tolist() == world.ROI_IDS[0]
    rows, cols, weights = world.make_cells(0).list_pixels()[1]
    np.testing.assert_array_equal(masks.values[1][rows, cols], weights)


def test_tables_have_columns_with_units(session):
    frames = session.frames.to_xarray()
    assert frames["shift_x_px"].attrs["units"] == "px"
    assert frames["is_accepted"].values.sum() == world.N_FRAMES - 5
    structured = session.frames.to_numpy()
    assert structured["latency_ms"].tolist() == [3.0] * world.N_FRAMES
    assert set(session.quality["activity_correlation"]) == {0.4, 0.1}
    assert "eyes closed" in session.events["message"].tolist()
    assert len(session.behavior) == world.N_FRAMES
    assert session.events.to_xarray().sizes["event"] == len(session.events)


def test_frames_of_two_planes_have_nan_for_rois_of_the_other_plane(volume):
    dff = volume.dff.to_xarray()
    assert dff.sizes == {"time": 2 * world.N_FRAMES, "roi": 5}
    of_first = np.flatnonzero(volume.frames["plane"] == 0)
    assert np.isnan(dff.values[of_first][:, 3:]).all()
    expected = -np.arange(world.N_FRAMES)
    for roi in (0, 2):
        np.testing.assert_array_equal(dff.values[of_first, roi], expected)
    of_second = np.flatnonzero(volume.frames["plane"] == 1)
    np.testing.assert_array_equal(dff.values[of_second, 4], expected)


@pytest.mark.parametrize("n_frames", [0, 1])
def test_an_empty_or_one_frame_session_opens(tmp_path, n_frames):
    recorder = Recorder(tmp_path, session_tables.make_about())
    for i in range(n_frames):
        session_tables.record_frame(recorder, i)
    recorder.close()
    session = open_session(recorder.path)
    for array in (session.activity, session.dff, session.stimulus):
        assert array.to_xarray().sizes["time"] == n_frames
    assert session.movie().shape == (0, *session_tables.IMAGE)
    assert len(session.quality.to_numpy()) == 0
    assert len(session.events.to_xarray()["name"]) == n_frames


def test_a_session_without_neurons_has_empty_arrays(tmp_path):
    about = session_tables.make_about(roi_ids=[], neuron_ids=[])
    recorder = Recorder(tmp_path, about)
    recorder.add_frame(
        session_tables.make_frame_row(0), session_tables.make_traces(0, n_roi=0)
    )
    recorder.close()
    session = open_session(recorder.path)
    assert session.dff.to_numpy().shape == (1, 0)
    assert session.activity.to_numpy().shape == (0, 0)


def test_a_folder_without_session_is_an_error_sentence(tmp_path):
    with pytest.raises(NotASessionError, match="not a recorded session"):
        open_session(tmp_path)


@pytest.mark.parametrize("name", TABLES)
def test_plain_xarray_opens_every_table(folder, name):
    group = folder / ARRAYS_FOLDER / name
    table = xarray.open_zarr(group, consolidated=False, chunks=None)
    columns = table.attrs["columns"]
    assert len(columns) == table.sizes["column"] == len(table.attrs["column_units"])
    if "values" in table:
        values = zarr.open_array(group / "values", mode="r")
        assert table["values"].dtype == values.dtype
        assert np.array_equal(table["values"].values, values[:], equal_nan=True)
        assert table["values"].attrs["units"]
