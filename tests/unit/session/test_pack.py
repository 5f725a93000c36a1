"""Packing a session: one file that unpacks to the same session."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.session.pack import pack_session
from rtrecon.session.recorder import Recorder
from rtrecon.session.session import NotASessionError, Session
from tests.support import session_tables as world

N_FRAMES = 3 * world.HOP


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of 18 frames with a report and a file of the user, a minute old."""
    recorder = Recorder(tmp_path_factory.mktemp("recordings"), world.make_about())
    for i in range(N_FRAMES):
        world.record_frame(recorder, i)
    recorder.close()
    (recorder.path / "report.html").write_text("a report")
    (recorder.path / "diary.txt").write_text("private")
    for file in recorder.path.rglob("*"):
        os.utime(file, (time.time() - 60, time.time() - 60))
    return recorder.path


def unpack(path: Path, to: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(to)
    (unpacked,) = to.iterdir()
    return unpacked


def test_an_unpacked_session_has_the_same_files(folder, tmp_path):
    packed = pack_session(folder, tmp_path / "out.zip")
    unpacked = unpack(packed.path, tmp_path / "unpacked")
    assert unpacked.name == folder.name
    files = {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
    assert packed.left_out == ["diary.txt"]
    for name in files - {Path("diary.txt")}:
        assert (unpacked / name).read_bytes() == (folder / name).read_bytes()
    assert not (unpacked / "diary.txt").exists()
    with zipfile.ZipFile(packed.path) as archive:
        kinds = {entry.compress_type for entry in archive.infolist()}
    assert kinds == {zipfile.ZIP_STORED}


def test_a_session_packed_without_its_movie_reads_as_one_without_reconstructions(
    folder, tmp_path
):
    packed = pack_session(folder, tmp_path / "out.zip", with_movie=False)
    unpacked = unpack(packed.path, tmp_path / "unpacked")
    session, whole = Session(unpacked), Session(folder)
    assert len(whole.movie) == 3
    assert len(session.movie) == 0
    assert not session.about.has_movie
    assert session.notices == []
    assert np.array_equal(session.activity.read_values(), whole.activity.read_values())
    assert packed.left_out == ["diary.txt", "report.html"]
    movie_bytes = sum(
        file.stat().st_size for file in (unpacked / "arrays.zarr/movie").rglob("c/*")
    )
    assert movie_bytes == 0


def test_a_packed_session_lies_beside_its_folder_unless_told_otherwise(folder):
    packed = pack_session(folder)
    assert packed.path == folder.with_name(f"{folder.name}.zip")
    packed.path.unlink()


def test_reading_a_packed_session_says_how_to_unpack_it(folder, tmp_path):
    packed = pack_session(folder, tmp_path / "out.zip")
    with pytest.raises(NotASessionError, match=r"unpack it first .*zipfile -e out.zip"):
        Session(packed.path)


def test_a_session_that_is_being_recorded_is_not_packed(tmp_path):
    recorder = Recorder(tmp_path, world.make_about())
    recorder.close()
    # Dated a minute ahead: even a test that stalls does not make its files old.
    for file in recorder.path.rglob("*"):
        os.utime(file, (time.time() + 60, time.time() + 60))
    with pytest.raises(UserError, match="still being written"):
        pack_session(recorder.path)


def test_a_file_that_cannot_be_written_is_an_error_sentence(folder, tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        pack_session(folder, tmp_path / "missing" / "out.zip")
