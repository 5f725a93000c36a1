"""NWB export: valid for NWB's own tools, and equal to what was recorded."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pynwb
import pytest
from nwbinspector import Importance, inspect_nwbfile
from pynwb import NWBHDF5IO
from typer.testing import CliRunner

from rtrecon.cli import app
from rtrecon.core.errors import UserError
from rtrecon.export.nwb_export import ExportRequest, export_nwb
from rtrecon.export.series_data import describe_times, stream_rows
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.session.tables import ARRAYS_FOLDER
from tests.support import recorded_session as world
from tests.support import session_tables

PLANES = {"one plane": 1, "a volume": 2}


def export(session: Path, out: Path, **changes: object):
    return export_nwb(ExportRequest(session, out, **changes))


def read_traces(path: Path, plane: int = 0) -> np.ndarray:
    with NWBHDF5IO(path, "r") as disk:
        return disk.read().processing["ophys"]["DfOverF"][f"dff_plane{plane}"].data[:]


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("microscope") / "session_00001.tif"
    path.write_bytes(b"a recording; its content does not matter")
    return path


@pytest.fixture(scope="module", params=PLANES.values(), ids=PLANES)
def session(request, tmp_path_factory, raw) -> Path:
    meta = {"source": "a test", "recording": str(raw)}
    folder = tmp_path_factory.mktemp("recordings")
    return world.record_session(folder, n_planes=request.param, meta=meta)


@pytest.fixture(scope="module")
def one_plane(tmp_path_factory) -> Path:
    return world.record_session(tmp_path_factory.mktemp("one"), stimulus=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A session of one plane with everything; tests damage their own copy."""
    return world.record_session(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def copied(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / whole.name))


@pytest.fixture(scope="module")
def result(session, tmp_path_factory):
    return export(session, tmp_path_factory.mktemp("nwb") / "session.nwb")


@pytest.fixture(scope="module")
def file(result):
    with NWBHDF5IO(result.path, "r") as disk:
        yield disk.read()


# -- NWB's own tools ----------------------------------------------------------------


def test_the_file_is_valid_nwb(result):
    assert pynwb.validate(path=str(result.path)) == []


@pytest.mark.parametrize("session", [2], ids=["a volume"], indirect=True)
def test_the_inspector_finds_nothing_severe(session, tmp_path):
    result = export(session, tmp_path / "a.nwb")
    messages = list(inspect_nwbfile(nwbfile_path=str(result.path)))
    severe = [
        m for m in messages if m.importance != Importance.BEST_PRACTICE_SUGGESTION
    ]
    assert severe == []


def test_a_complete_session_has_no_notice(result):
    assert result.notices == []
    assert result.size_mb > 0


# -- what is in it -------------------------------------------------------------------


def test_traces_are_those_recorded_and_refer_to_their_masks(file):
    ophys = file.processing["ophys"]
    for plane in range(len(file.imaging_planes)):
        dff = ophys["DfOverF"][f"dff_plane{plane}"]
        cell = ophys["Fluorescence"][f"fluorescence_plane{plane}"]
        assert np.array_equal(dff.data[:, 0], -np.arange(world.N_FRAMES))
        assert np.array_equal(cell.data[:, -1], np.arange(world.N_FRAMES))
        assert dff.rois.table.id[:].tolist() == world.ROI_IDS[plane]
        assert dff.rois.data[:].tolist() == list(range(len(world.ROI_IDS[plane])))


def test_deconvolved_activity_refers_to_the_right_masks(file):
    for plane in range(len(file.imaging_planes)):
        series = file.processing["ophys"]["Deconvolved"][f"deconvolved_plane{plane}"]
        ids = series.rois.table.id[:][series.rois.data[:]]
        assert np.array_equal(series.data[5], ids)  # each neuron's activity is its id


def test_masks_and_template_are_those_of_the_session(file):
    masks = file.processing["ophys"]["ImageSegmentation"]["PlaneSegmentation0"]
    given = world.make_cells(0)
    rows_px, cols_px, weights = given.list_pixels()[1]
    found = masks["pixel_mask"][1]
    assert found["y"].tolist() == rows_px.tolist()
    assert found["x"].tolist() == cols_px.tolist()
    assert found["weight"] == pytest.approx(weights)
    image = file.processing["ophys"]["SummaryImages"]["template_plane0"]
    assert np.array_equal(image.data[:].T, world.make_template(0))


def test_motion_is_written_as_x_and_y(file):
    motion = file.processing["ophys"]["xy_translation_plane0"]
    assert motion.data[10].tolist() == [-10.0, 5.0]
    trusted = file.processing["ophys"]["is_accepted_plane0"].data[:]
    assert np.flatnonzero(trusted == 0).tolist() == list(world.REJECTED_FRAMES)


def test_movie_and_stimulus_have_the_same_time_base(file, session):
    movie = file.processing["reconstruction"]["reconstructed_movie"]
    stimulus = file.stimulus["stimulus"]
    indices, frames = Session(session).read_final_movie()
    assert np.array_equal(movie.data[:].swapaxes(1, 2), frames)
    assert np.array_equal(stimulus.data[:].swapaxes(1, 2), world.make_stimulus())
    behind_s = movie.starting_time - stimulus.starting_time
    assert behind_s == pytest.approx(indices[0] / world.RATE_HZ)


def test_clips_have_names_and_durations(file):
    table = file.intervals["clips"].to_dataframe()
    assert table["clip"].tolist() == list(world.CLIPS.values())
    lasted_s = table["stop_time"] - table["start_time"]
    assert lasted_s.tolist() == pytest.approx([200 / 30, (world.N_FRAMES - 200) / 30])


def test_all_clocks_agree(file):
    """Recording began a second before the first frame; hops end at their frames."""
    dff = file.processing["ophys"]["DfOverF"]["dff_plane0"]
    events = file.events["events"].to_dataframe()
    (mark,) = events[events["annotation"] == "eyes closed"].itertuples()
    assert dff.starting_time == pytest.approx(1.0, abs=0.5)
    last_s = dff.starting_time + (world.N_FRAMES - 1) / world.RATE_HZ
    assert mark.timestamp == pytest.approx(last_s, abs=0.01)


def test_behavior_has_the_measured_samples(file):
    behavior = file.processing["behavior"]
    running = behavior["BehavioralTimeSeries"]["running_speed"]
    assert running.data[:].tolist() == [2.0] * (world.N_FRAMES // 2)
    assert len(behavior["PupilTracking"]["pupil_dilation"].data) == world.N_FRAMES
    assert "EyeTracking" not in behavior.data_interfaces


def test_the_screen_and_the_onsets_of_its_pictures_are_exported(tmp_path):
    settings = {"screen": {"size_cm": [51, 29], "distance_cm": 15, "gamma": None}}
    path = world.record_session(tmp_path, settings=settings, has_photodiode=True)
    out = tmp_path / "session.nwb"
    export(path, out)
    with NWBHDF5IO(out, "r") as disk:
        file = disk.read()
        facts = json.loads(file.devices["screen"].description)
        onsets = file.acquisition["picture_onsets"]
        lags_s, times_s = onsets.data[:], onsets.timestamps[:]
    assert facts == {
        "size_cm": [51, 29],
        "distance_cm": 15,
        "degrees_per_pixel": [3.076, 3.043],
    }
    assert len(lags_s) == world.N_FRAMES - len(range(0, world.N_FRAMES, 50))
    np.testing.assert_allclose(lags_s, 0.04, atol=1e-9)
    np.testing.assert_allclose(np.diff(times_s).min(), 1 / world.RATE_HZ, atol=1e-6)


def test_quality_has_its_null(file):
    quality = file.processing["quality"]
    assert set(quality["activity_correlation"].data[:]) == {0.4, 0.1}
    assert set(quality["null_activity_correlation"].data[:]) == {0.02}


def test_subject_and_experiment_are_those_of_the_settings(file):
    assert file.subject.subject_id == "M1"
    assert file.subject.age == "P90D"
    assert file.experimenter == ("Last, First",)
    plane = file.imaging_planes["ImagingPlane0"]
    assert (plane.location, plane.indicator) == ("VISp", "GCaMP6s")
    assert plane.grid_spacing[:] == pytest.approx([1.5e-6, 2e-6])


def test_the_raw_recording_is_a_path_relative_to_the_file(file, result, raw):
    series = file.acquisition["TwoPhotonSeries"]
    assert series.format == "external"
    beside = result.path.parent / series.external_file[0]
    assert beside.resolve() == raw.resolve()
    assert not Path(series.external_file[0]).is_absolute()
    assert series.num_samples == world.N_FRAMES + 3  # it still has those lost here


def test_the_description_of_the_recording_has_no_folder_and_no_host(file, session):
    description = json.loads(file.data_collection)
    assert description["settings"]["recording"]["folder"] == "recordings"
    assert description["machine"]["cores"] >= 1
    assert "zarr" in description["libraries"]
    assert socket.gethostname() not in description["machine"].values()
    assert str(session.parent) not in file.data_collection


# -- damaged and very short sessions -------------------------------------------------


def test_damaged_traces_are_nan_and_the_notice_names_table_and_seconds(
    copied, tmp_path
):
    (copied / ARRAYS_FOLDER / "frames" / "values" / "c.2.0.0").unlink()
    result = export(copied, tmp_path / "a.nwb")
    (notice,) = [n for n in result.notices if n.startswith("frames: ")]
    assert "values of 0.8 s (24 of 336 rows) cannot be read" in notice
    expected = -np.arange(world.N_FRAMES, dtype=np.float32)
    expected[48:72] = np.nan
    np.testing.assert_array_equal(read_traces(result.path)[:, 0], expected)


def test_damaged_rows_are_left_out_of_the_file_and_the_times_have_a_gap(
    copied, tmp_path
):
    for table in ("frames", "activity", "behavior", "stimulus", "movie"):
        (copied / ARRAYS_FOLDER / table / "rows" / "c.0.0").unlink()
    result = export(copied, tmp_path / "a.nwb")
    assert len([n for n in result.notices if "cannot be read" in n]) == 5
    assert read_traces(result.path)[:, 0].tolist() == [-i for i in range(24, 336)]
    assert pynwb.validate(path=str(result.path)) == []


@pytest.mark.parametrize("table", ["activity", "behavior", "stimulus", "movie"])
def test_a_lost_table_is_a_notice_and_the_rest_is_exported(copied, tmp_path, table):
    (copied / ARRAYS_FOLDER / table / "rows" / "zarr.json").write_text("{")
    result = export(copied, tmp_path / "a.nwb")
    assert any(n.startswith(f"{table}: rows of") for n in result.notices)
    assert len(read_traces(result.path)) == world.N_FRAMES


def test_a_damaged_state_file_does_not_stop_the_export(copied, tmp_path):
    (copied / "state_plane0.npz").write_bytes(b"PK")
    result = export(copied, tmp_path / "a.nwb")
    assert len(read_traces(result.path)) == world.N_FRAMES


def test_a_session_of_one_frame_is_exported(copied, tmp_path):
    for file in copied.glob("*.jsonl"):
        file.unlink()
    recorder = Recorder(tmp_path / "one", world.make_about())
    recorder.add_frame(world.make_frame_row(0), world.make_traces(0))
    recorder.close()
    (copied / "reference_plane0.npz").rename(recorder.path / "reference_plane0.npz")
    result = export(recorder.path, tmp_path / "a.nwb")
    assert "no activity was recorded; the file has none" in result.notices
    assert read_traces(result.path).tolist() == [[0.0] * 3]
    assert pynwb.validate(path=str(result.path)) == []


# -- what is missing, and mistakes ---------------------------------------------------


def test_missing_metadata_is_a_notice(one_plane, tmp_path):
    result = export(one_plane, tmp_path / "a.nwb", subject={"subject_id": "M2"})
    assert "subject.species, subject.sex, subject.age" in result.notices[0]
    assert "--raw" in result.notices[1]


def test_a_session_without_movie_and_masks_has_its_activity(tmp_path):
    path = world.record_session(tmp_path, stimulus=False, has_movie=False)
    (path / "reference_plane0.npz").unlink()
    result = export(path, tmp_path / "a.nwb")
    assert any("no masks" in note for note in result.notices)
    assert any("no reconstruction" in note for note in result.notices)
    with NWBHDF5IO(result.path, "r") as disk:
        file = disk.read()
        assert "reconstruction" not in file.processing
        assert (
            file.processing["activity"]["activity"].data[3].tolist() == world.ROI_IDS[0]
        )
    assert pynwb.validate(path=str(result.path)) == []


def test_an_existing_file_is_not_overwritten(one_plane, tmp_path):
    (tmp_path / "a.nwb").write_text("mine")
    with pytest.raises(UserError, match=r"a\.nwb exists already"):
        export(one_plane, tmp_path / "a.nwb")
    assert (tmp_path / "a.nwb").read_text() == "mine"


def test_mistakes_are_error_sentences(one_plane, tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        export(one_plane, tmp_path / "nowhere" / "a.nwb")
    with pytest.raises(UserError, match="not a recorded session"):
        export(tmp_path, tmp_path / "a.nwb")
    recorder = Recorder(tmp_path, session_tables.make_about())
    recorder.close()
    with pytest.raises(UserError, match="holds no images"):
        export(recorder.path, tmp_path / "a.nwb")


def test_an_interrupted_export_leaves_no_file(one_plane, tmp_path):
    def interrupt(stage: str, done: float, detail: str) -> None:
        if stage == "reconstructed_movie":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_nwb(ExportRequest(one_plane, tmp_path / "a.nwb"), interrupt)
    assert list(tmp_path.iterdir()) == []


def test_the_command_reads_the_subject_from_a_file(one_plane, tmp_path, raw):
    settings = tmp_path / "rig.toml"
    settings.write_text('[subject]\nsubject_id = "M9"\n', encoding="utf-8")
    out = tmp_path / "a.nwb"
    arguments = ["export", one_plane, "--nwb", out, "--raw", raw]
    command = [*map(str, arguments), "--settings", str(settings)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "subject.species" in result.output
    with NWBHDF5IO(out, "r") as disk:
        assert disk.read().subject.subject_id == "M9"


# -- in constant memory --------------------------------------------------------------


def test_at_most_a_megabyte_of_rows_is_read_at_a_time(tmp_path):
    asked, shares = [], []

    def read(start: int, stop: int) -> np.ndarray:
        asked.append(stop - start)
        return np.full((stop - start, 1000), start, np.float32)

    data = stream_rows((3000, 1000), "<f4", read, shares.append)
    seen = [chunk.data.shape[0] for chunk in data]
    assert sum(seen) == sum(asked) == 3000
    assert max(asked) * 4000 <= 2**20
    assert shares[-1] == 1.0


REGULAR = {
    "a rate": (np.arange(5) / 30, {"starting_time", "rate"}),
    "a hole": (np.array([0, 1, 2, 4.0]), {"timestamps"}),
    "one alone": (np.array([3.0]), {"timestamps"}),
}


@pytest.mark.parametrize(("t_s", "names"), REGULAR.values(), ids=REGULAR)
def test_regular_times_are_written_as_a_rate(t_s, names):
    assert set(describe_times(t_s)) == names
