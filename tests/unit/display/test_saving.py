"""Files that somebody asks for: whole, named by the time, never in the way."""

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

from rtrecon.display.saving import Saver, side_by_side
from rtrecon.sources.video import read_clip

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

MADE, SEEN = np.full((36, 64), 200, np.uint8), np.full((36, 64), 60, np.uint8)


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[Saver]:
    with closing(Saver(tmp_path / "folder")) as saver:
        yield saver


def red(qtbot: QtBot) -> QPixmap:
    picture = QPixmap(40, 30)
    picture.fill("red")
    return picture


def finished(saver: Saver) -> str:
    """What is told in the end of a clip."""
    saver.close()
    return saver.told()


def test_pictures_of_one_second_do_not_replace_each_other(saver, qtbot, tmp_path):
    sentences = [saver.picture(red(qtbot)) for _ in range(3)]
    files = sorted((tmp_path / "folder").iterdir())
    assert len(files) == 3
    for file in files:
        assert re.fullmatch(r"rtrecon_[-\d]{10}_[-\d]{8}(_\d)?\.png", file.name)
        assert QImage(str(file)).width() == 40
        assert any(str(file) in sentence for sentence in sentences)


def test_a_clip_holds_both_movies_side_by_side(saver, tmp_path):
    assert "Saving 2 s of movie" in saver.clip([(MADE, SEEN)] * 60)
    assert finished(saver).startswith("Clip saved")
    (file,) = (tmp_path / "folder").iterdir()
    clip = read_clip(file, shape=(36, 130))
    assert len(clip) == 60
    assert abs(int(clip[30, 18, 30]) - 200) < 8
    assert abs(int(clip[30, 18, 100]) - 60) < 8


def test_without_a_movie_there_is_no_clip(saver, tmp_path):
    assert "no movie yet" in saver.clip([])
    assert finished(saver) == ""
    assert not (tmp_path / "folder").exists()


def test_what_cannot_be_written_is_said(qtbot, tmp_path):
    (tmp_path / "file").touch()
    with closing(Saver(tmp_path / "file")) as saver:
        assert "cannot be written" in saver.picture(red(qtbot))
        saver.clip([(MADE, SEEN)] * 3)
        assert "cannot be written" in finished(saver)


OTHER = np.zeros((8, 8), np.uint8)
PAIRS = {  # pairs -> width, gray right of the gap in each frame (none: no such side)
    "both": ([(MADE, SEEN), (MADE, SEEN)], 130, [60, 60]),
    "one unknown": ([(MADE, None), (MADE, SEEN)], 130, [0, 60]),
    "none known": ([(MADE, None), (MADE, None)], 64, None),
    "another shape": ([(MADE, OTHER)], 64, None),
}


@pytest.mark.parametrize(("pairs", "width", "right"), PAIRS.values(), ids=PAIRS)
def test_side_by_side(pairs, width, right):
    frames = side_by_side(pairs)
    assert frames.shape == (len(pairs), 36, width)
    assert (frames[:, :, :64] == 200).all()
    if right is not None:
        np.testing.assert_array_equal(frames[:, 0, 100], right)
