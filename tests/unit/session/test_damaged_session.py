"""Damaged sessions: a notice names table and seconds lost; the rest is read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtrecon.session import tables
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from tests.support import session_tables as world

N_FRAMES = 60  # chunks of 24 rows: 0 to 23, 24 to 47, 48 to 59
DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-7]),
    "empty": lambda file: file.write_bytes(b""),
    "missing": lambda file: file.unlink(),
}


@pytest.fixture(scope="module")
def intact(tmp_path_factory) -> Path:
    recorder = Recorder(tmp_path_factory.mktemp("recordings"), world.make_about())
    for i in range(N_FRAMES):
        world.record_frame(recorder, i)
    recorder.close()
    assert recorder.failure is None
    return recorder.path


@pytest.fixture
def folder(intact, tmp_path) -> Path:
    return Path(shutil.copytree(intact, tmp_path / intact.name))


def get_table_folder(folder: Path, name: str) -> Path:
    return folder / tables.ARRAYS_FOLDER / name


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize(
    ("chunk", "kept"),
    [("c.1.0", [*range(24), *range(48, 60)]), ("c.2.0", list(range(48)))],
)
def test_rows_of_a_damaged_chunk_are_left_out(folder, chunk, kept, damage):
    damage(get_table_folder(folder, "frames") / "rows" / chunk)
    frames = Session(folder).frames
    assert frames["frame"].tolist() == kept
    assert frames.read_values()[:, 0, 0].tolist() == kept
    assert frames.read_values(20, 30)[:, 0, 0].tolist() == kept[20:30]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize(
    ("chunk", "lost"), [("c.1.0.0", range(24, 48)), ("c.2.0.0", range(48, 60))]
)
def test_traces_of_a_damaged_chunk_are_nan(folder, chunk, lost, damage):
    damage(get_table_folder(folder, "frames") / "values" / chunk)
    frames = Session(folder).frames
    assert frames["frame"].tolist() == list(range(N_FRAMES))
    expected = np.arange(N_FRAMES, dtype=np.float32)
    expected[lost] = np.nan
    np.testing.assert_array_equal(frames.read_values()[:, 0, 0], expected)
    np.testing.assert_array_equal(frames.read_values(20, 50)[:, 0, 0], expected[20:50])


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_images_of_a_damaged_chunk_are_left_out_with_their_rows(folder, damage):
    damage(get_table_folder(folder, "stimulus") / "values" / "c.1.0.0")
    stimulus = Session(folder).stimulus
    assert stimulus["encoder_frame"].tolist() == [*range(24), *range(48, 60)]
    assert np.array_equal(stimulus.read_values(24, 25)[0], world.make_stimulus(48))


def test_movie_windows_of_a_damaged_chunk_are_left_out(folder):
    (get_table_folder(folder, "movie") / "values" / "c.1.0.0.0").unlink()
    frames, images = Session(folder).read_final_movie()
    assert len(frames) == len(images)
    assert (images != 0).all()  # no image is filled up with zeros


def test_a_notice_names_the_table_and_the_seconds_lost(folder):
    (get_table_folder(folder, "frames") / "values" / "c.1.0.0").unlink()
    (get_table_folder(folder, "activity") / "rows" / "c.0.0").unlink()
    traces, activity = Session(folder).notices
    assert "frames: values of 0.8 s (24 of 60 rows) cannot be read" in traces
    assert "they are NaN" in traces
    assert "activity: rows of 0.8 s (24 of 60 rows) cannot be read" in activity
    assert "left out" in activity


@pytest.mark.parametrize("array", ["rows", "values"])
def test_a_table_that_cannot_be_opened_is_reported_and_the_rest_is_read(folder, array):
    (get_table_folder(folder, "activity") / array / "zarr.json").write_text("{")
    session = Session(folder)
    (notice,) = session.notices
    assert f"activity: {array} of 2.0 s (60 of 60 rows) cannot be read" in notice
    assert "zarr.json" in notice
    assert np.isnan(session.activity.read_values()).all()
    assert len(session.frames) == N_FRAMES


def test_a_table_whose_folder_is_gone_is_empty(folder):
    shutil.rmtree(get_table_folder(folder, "activity"))
    session = Session(folder)
    assert len(session.activity) == 0
    assert session.activity["encoder_frame"].shape == (0,)
    assert session.activity.read_values().shape == (0, world.N_NEURON)
    assert "activity: rows of the whole session cannot be read" in session.notices[0]


def test_an_impossible_number_of_rows_is_reported(folder):
    file = get_table_folder(folder, "activity") / "rows" / "zarr.json"
    metadata = json.loads(file.read_text())
    metadata["shape"][0] = 2**40
    file.write_text(json.dumps(metadata))
    session = Session(folder)
    assert f"{2**40} rows are impossible" in session.notices[0]
    assert len(session.activity) == 0
    assert len(session.frames) == N_FRAMES


def test_an_incomplete_line_is_reported(folder):
    file = folder / tables.MESSAGE_FILES["events"]
    file.write_bytes(file.read_bytes()[:-9])
    session = Session(folder)
    assert session.notices == [
        "events.jsonl: 1 of 60 lines cannot be read; they are left out"
    ]
    assert len(session.events) == N_FRAMES - 1


def test_an_intact_session_has_no_notice(intact):
    assert Session(intact).notices == []
