"""Files that the user saves: complete, named by the time, never overwritten."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QImage, QPixmap
from pytestqt.qtbot import QtBot

from rtrecon.display.saving import FileSaver, make_clip
from rtrecon.sources.video import read_clip

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

RECONSTRUCTION = np.full((36, 64), 200, np.uint8)
STIMULUS = np.full((36, 64), 60, np.uint8)


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[FileSaver]:
    with closing(FileSaver(tmp_path / "folder")) as saver:
        yield saver


def red_picture(qtbot: QtBot) -> QPixmap:
    picture = QPixmap(40, 30)
    picture.fill("red")
    return picture


def finish_clips(saver: FileSaver) -> str:
    """Wait for the clips and return the notice about them."""
    saver.close()
    return saver.finished_clip_notice()


def test_pictures_saved_in_one_second_do_not_replace_each_other(saver, qtbot, tmp_path):
    notices = [saver.save_picture(red_picture(qtbot)) for _ in range(3)]
    files = sorted((tmp_path / "folder").iterdir())
    assert len(files) == 3
    for file in files:
        assert re.fullmatch(r"rtrecon_[-\d]{10}_[-\d]{8}(_\d)?\.png", file.name)
        assert QImage(str(file)).width() == 40
        assert any(str(file) in notice for notice in notices)


def test_a_clip_shows_both_movies_side_by_side(saver, tmp_path):
    notice = saver.start_clip([(RECONSTRUCTION, STIMULUS)] * 60)
    assert "Saving 2 s of movie" in notice
    assert finish_clips(saver).startswith("Clip saved")
    (file,) = (tmp_path / "folder").iterdir()
    clip = read_clip(file, shape=(36, 130))
    assert len(clip) == 60
    assert abs(int(clip[30, 18, 30]) - 200) < 8
    assert abs(int(clip[30, 18, 100]) - 60) < 8


def test_without_a_movie_no_clip_is_saved(saver, tmp_path):
    assert "there is no movie yet" in saver.start_clip([])
    assert finish_clips(saver) == ""
    assert not (tmp_path / "folder").exists()


def test_a_file_that_cannot_be_written_is_reported(qtbot, tmp_path):
    (tmp_path / "file").touch()
    with closing(FileSaver(tmp_path / "file")) as saver:
        assert "cannot be written" in saver.save_picture(red_picture(qtbot))
        saver.start_clip([(RECONSTRUCTION, STIMULUS)] * 3)
        assert "cannot be written" in finish_clips(saver)


SMALL = np.zeros((8, 8), np.uint8)
BOTH = (RECONSTRUCTION, STIMULUS)
UNKNOWN = (RECONSTRUCTION, None)
# pairs -> width, gray to the right of the gap in each frame (None: no right side)
PAIRS = {
    "both known": ([BOTH, BOTH], 130, [60, 60]),
    "one stimulus unknown": ([UNKNOWN, BOTH], 130, [0, 60]),
    "no stimulus known": ([UNKNOWN, UNKNOWN], 64, None),
    "stimulus of another shape": ([(RECONSTRUCTION, SMALL)], 64, None),
}


@pytest.mark.parametrize(("pairs", "width", "right"), PAIRS.values(), ids=PAIRS)
def test_reconstruction_and_stimulus_are_joined_side_by_side(pairs, width, right):
    frames = make_clip(pairs)
    assert frames.shape == (len(pairs), 36, width)
    assert (frames[:, :, :64] == 200).all()
    if right is not None:
        np.testing.assert_array_equal(frames[:, 0, 100], right)
