"""A session as NWB: what others read is what was recorded, and nobody complains."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pynwb
import pytest
from nwbinspector import Importance, inspect_nwbfile
from pynwb import NWBHDF5IO

from rtrecon.core.errors import UserError
from rtrecon.export import Plan, export_nwb
from rtrecon.export.clock import regular
from rtrecon.export.streams import rows
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from rtrecon.testing.daemon_process import rtrecon
from tests.support import recorded_session as world

PLANES = {"one plane": 1, "a volume": 2}


def silent(stage: str, share: float, word: str) -> None:
    pass


def exported(session: Path, out: Path, **changes: object):
    return export_nwb(Plan(session, out, **changes), silent)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("microscope") / "session_00001.tif"
    path.write_bytes(b"a recording; nobody looks inside")
    return path


@pytest.fixture(scope="module", params=PLANES.values(), ids=PLANES)
def session(request, tmp_path_factory, raw) -> Path:
    meta = {"source": "a test", "recording": str(raw)}
    folder = tmp_path_factory.mktemp("recordings")
    return world.recorded(folder, n_planes=request.param, meta=meta)


@pytest.fixture(scope="module")
def one_plane(tmp_path_factory) -> Path:
    return world.recorded(tmp_path_factory.mktemp("one"), stimulus=False)


@pytest.fixture(scope="module")
def done(session, tmp_path_factory):
    return exported(session, tmp_path_factory.mktemp("nwb") / "session.nwb")


@pytest.fixture(scope="module")
def file(done):
    with NWBHDF5IO(done.path, "r") as disk:
        yield disk.read()


# -- what readers say ----------------------------------------------------------------


def test_nobody_complains(done):
    assert pynwb.validate(path=str(done.path)) == []
    told = list(inspect_nwbfile(nwbfile_path=str(done.path)))
    severe = [m for m in told if m.importance != Importance.BEST_PRACTICE_SUGGESTION]
    assert severe == []


def test_a_whole_session_leaves_nothing_to_be_said(done):
    assert done.notes == []
    assert done.size_mb > 0


# -- what is in it -------------------------------------------------------------------


def test_traces_are_those_recorded_and_know_their_neurons(file):
    ophys = file.processing["ophys"]
    for plane in range(len(file.imaging_planes)):
        dff = ophys["DfOverF"][f"dff_plane{plane}"]
        cell = ophys["Fluorescence"][f"cell_plane{plane}"]
        assert np.array_equal(dff.data[:, 0], -np.arange(world.N_FRAMES))
        assert np.array_equal(cell.data[:, -1], np.arange(world.N_FRAMES))
        assert dff.rois.table.id[:].tolist() == world.IDS[plane]
        assert dff.rois.data[:].tolist() == list(range(len(world.IDS[plane])))


def test_deconvolved_activity_goes_to_its_own_neurons(file):
    for plane in range(len(file.imaging_planes)):
        series = file.processing["ophys"]["Deconvolved"][f"deconvolved_plane{plane}"]
        ids = series.rois.table.id[:][series.rois.data[:]]
        assert np.array_equal(series.data[5], ids)  # each neuron's activity is its id


def test_masks_lie_where_they_lay(file):
    masks = file.processing["ophys"]["ImageSegmentation"]["PlaneSegmentation0"]
    given = world.cells(0)
    rows_px, cols_px, weights = given.pixels()[1]
    found = masks["pixel_mask"][1]
    assert found["y"].tolist() == rows_px.tolist()
    assert found["x"].tolist() == cols_px.tolist()
    assert found["weight"] == pytest.approx(weights)
    image = file.processing["ophys"]["SummaryImages"]["template_plane0"]
    assert np.array_equal(image.data[:].T, world.template(0))


def test_motion_is_x_and_y(file):
    motion = file.processing["ophys"]["xy_translation_plane0"]
    assert motion.data[10].tolist() == [-10.0, 5.0]
    trusted = file.processing["ophys"]["trusted_plane0"].data[:]
    assert np.flatnonzero(trusted == 0).tolist() == list(world.UNTRUSTED)


def test_the_movie_and_the_stimulus_are_side_by_side_in_time(file, session):
    movie = file.processing["reconstruction"]["reconstructed_movie"]
    stimulus = file.stimulus["stimulus"]
    indices, frames = Session(session).final_movie()
    assert np.array_equal(movie.data[:].swapaxes(1, 2), frames)
    assert np.array_equal(stimulus.data[:].swapaxes(1, 2), world.shown())
    behind_s = movie.starting_time - stimulus.starting_time
    assert behind_s == pytest.approx(indices[0] / world.RATE_HZ)


def test_clips_are_told_apart(file):
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


def test_behavior_holds_what_was_measured(file):
    behavior = file.processing["behavior"]
    running = behavior["BehavioralTimeSeries"]["running_speed"]
    assert running.data[:].tolist() == [2.0] * (world.N_FRAMES // 2)
    assert len(behavior["PupilTracking"]["pupil_dilation"].data) == world.N_FRAMES
    assert "EyeTracking" not in behavior.data_interfaces


def test_quality_comes_with_its_null(file):
    quality = file.processing["quality"]
    assert set(quality["activity_correlation"].data[:]) == {0.4, 0.1}
    assert set(quality["null_correlation"].data[:]) == {0.02}


def test_subject_and_experiment_are_those_of_the_settings(file):
    assert file.subject.subject_id == "M1"
    assert file.subject.age == "P90D"
    assert file.experimenter == ("Last, First",)
    plane = file.imaging_planes["ImagingPlane0"]
    assert (plane.location, plane.indicator) == ("VISp", "GCaMP6s")
    assert plane.grid_spacing[:] == pytest.approx([1.5e-6, 2e-6])


def test_the_raw_recording_is_referred_to_from_where_the_file_lies(file, done, raw):
    series = file.acquisition["TwoPhotonSeries"]
    assert series.format == "external"
    beside = done.path.parent / series.external_file[0]
    assert beside.resolve() == raw.resolve()
    assert not Path(series.external_file[0]).is_absolute()
    assert series.num_samples == world.N_FRAMES + 3  # it still has those lost here


def test_how_it_was_recorded_tells_no_folder_and_no_host(file, session):
    told = json.loads(file.data_collection)
    assert told["settings"]["record"]["folder"] == "recordings"
    assert told["machine"]["cores"] >= 1
    assert "zarr" in told["libraries"]
    assert socket.gethostname() not in told["machine"].values()
    assert str(session.parent) not in file.data_collection


# -- what is missing, and mistakes ---------------------------------------------------


def test_what_nobody_said_is_said(one_plane, tmp_path):
    done = exported(one_plane, tmp_path / "a.nwb", subject={"subject_id": "M2"})
    assert "subject.species, subject.sex, subject.age" in done.notes[0]
    assert "--raw" in done.notes[1]


def test_a_session_without_movie_and_masks_holds_its_activity(tmp_path):
    path = world.recorded(tmp_path, stimulus=False, keeps_movie=False)
    (path / "reference_plane0.npz").unlink()
    done = exported(path, tmp_path / "a.nwb")
    assert any("no masks" in note for note in done.notes)
    assert any("no reconstruction" in note for note in done.notes)
    with NWBHDF5IO(done.path, "r") as disk:
        file = disk.read()
        assert "reconstruction" not in file.processing
        assert file.processing["activity"]["activity"].data[3].tolist() == world.IDS[0]
    assert pynwb.validate(path=str(done.path)) == []


def test_a_file_that_is_there_is_kept(one_plane, tmp_path):
    (tmp_path / "a.nwb").write_text("mine")
    with pytest.raises(UserError, match=r"a\.nwb is there already"):
        exported(one_plane, tmp_path / "a.nwb")
    assert (tmp_path / "a.nwb").read_text() == "mine"


def test_mistakes_are_sentences(one_plane, tmp_path):
    with pytest.raises(UserError, match="is no folder"):
        exported(one_plane, tmp_path / "nowhere" / "a.nwb")
    with pytest.raises(UserError, match="not a recording"):
        exported(tmp_path, tmp_path / "a.nwb")
    recorder = Recorder(tmp_path, world.record_world.about())
    recorder.close()
    with pytest.raises(UserError, match="holds no images"):
        exported(recorder.path, tmp_path / "a.nwb")


def test_an_export_that_was_stopped_leaves_no_file(one_plane, tmp_path):
    def stopped(stage: str, share: float, word: str) -> None:
        if stage == "reconstruction":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_nwb(Plan(one_plane, tmp_path / "a.nwb"), stopped)
    assert list(tmp_path.iterdir()) == []


def test_the_command_takes_the_subject_from_a_settings_file(one_plane, tmp_path, raw):
    settings = tmp_path / "rig.toml"
    settings.write_text('[subject]\nsubject_id = "M9"\n', encoding="utf-8")
    out = tmp_path / "a.nwb"
    done = rtrecon(
        "export", one_plane, "--nwb", out, "--raw", raw, "--settings", settings
    )
    assert done.returncode == 0, done.stderr
    assert "subject.species" in done.stderr
    with NWBHDF5IO(out, "r") as disk:
        assert disk.read().subject.subject_id == "M9"


# -- in constant memory --------------------------------------------------------------


def test_rows_are_read_a_megabyte_at_a_time(tmp_path):
    asked, shares = [], []

    def read(start: int, stop: int) -> np.ndarray:
        asked.append(stop - start)
        return np.full((stop - start, 1000), start, np.float32)

    data = rows((3000, 1000), "<f4", read, shares.append)
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
def test_times_are_a_rate_where_they_keep_to_one(t_s, names):
    assert set(regular(t_s)) == names
