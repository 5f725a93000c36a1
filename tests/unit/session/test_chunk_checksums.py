"""Chunks of the right size with wrong bytes are found; nothing reads as activity 0."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from rtrecon.session import tables
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import Session
from tests.support import session_tables as world

N_FRAMES = 60  # chunks of 24 rows
SECOND_CHUNK = range(24, 48)


@pytest.fixture(scope="module")
def intact(tmp_path_factory) -> Path:
    recorder = Recorder(tmp_path_factory.mktemp("recordings"), world.make_about())
    for i in range(N_FRAMES):
        world.record_frame(recorder, i)
    recorder.close()
    return recorder.path


@pytest.fixture
def folder(intact, tmp_path) -> Path:
    return Path(shutil.copytree(intact, tmp_path / intact.name))


def get_chunk(folder: Path, table: str, part: str, name: str) -> Path:
    return folder / tables.ARRAYS_FOLDER / table / part / name


def fill_with_zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def alter_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 64
    file.write_bytes(bytes(content))


def read_first_neuron(session: Session) -> np.ndarray:
    return session.activity.read_values()[:, 0]


def expect_activity(lost: range) -> np.ndarray:
    expected = np.arange(N_FRAMES, dtype=np.float32)
    expected[lost] = np.nan
    return expected


def test_activity_of_a_chunk_of_zeros_is_nan_and_reported_when_opened(folder):
    fill_with_zeros(get_chunk(folder, "activity", "values", "c.1.0"))
    session = Session(folder)
    (notice,) = session.notices
    assert "activity: values of 0.8 s (24 of 60 rows) cannot be read" in notice
    np.testing.assert_array_equal(
        read_first_neuron(session), expect_activity(SECOND_CHUNK)
    )


@pytest.mark.parametrize("damage", [fill_with_zeros, alter_a_byte])
def test_rows_of_a_chunk_with_a_wrong_checksum_are_left_out(folder, damage):
    damage(get_chunk(folder, "frames", "rows", "c.1.0"))
    session = Session(folder)
    assert session.frames["frame"].tolist() == [*range(24), *range(48, 60)]
    assert "frames: rows of 0.8 s" in session.notices[0]


def test_activity_with_an_altered_byte_is_nan_and_reported_once_when_read(folder):
    alter_a_byte(get_chunk(folder, "activity", "values", "c.1.0"))
    session = Session(folder)
    for _ in range(2):
        np.testing.assert_array_equal(
            read_first_neuron(session), expect_activity(SECOND_CHUNK)
        )
    assert np.isnan(session.activity.read_values(30, 31)).all()
    (notice,) = session.notices
    assert "24 of 60 rows" in notice
    assert "checksum" in notice
    assert "they are NaN" in notice


def test_images_of_a_chunk_of_zeros_are_left_out_with_their_rows(folder):
    fill_with_zeros(get_chunk(folder, "stimulus", "values", "c.1.0.0"))
    stimulus = Session(folder).stimulus
    assert stimulus["encoder_frame"].tolist() == [*range(24), *range(48, 60)]


def test_images_with_an_altered_byte_are_reported_when_they_are_read(folder):
    alter_a_byte(get_chunk(folder, "stimulus", "values", "c.1.0.0"))
    session = Session(folder)
    assert session.notices == []
    assert not session.stimulus.read_values(24, 48).any()
    (notice,) = session.notices
    assert "stimulus: values of 0.8 s (24 of 60 rows)" in notice
    assert "they are 0" in notice


def test_any_zarr_reader_finds_the_altered_byte(folder):
    alter_a_byte(get_chunk(folder, "activity", "values", "c.1.0"))
    array = zarr.open_array(folder / tables.ARRAYS_FOLDER / "activity" / "values")
    assert array[:24, 0].tolist() == list(range(24))
    with pytest.raises(ValueError, match="checksum"):
        array[24:48]
