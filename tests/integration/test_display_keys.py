"""The keys of the window, pressed without a screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from rtrecon.display.dish_page import DishPage
from rtrecon.display.panels.activity import ActivityPanel
from rtrecon.display.panels.field import FieldPanel
from rtrecon.display.panels.registry import PANELS
from rtrecon.display.window import PANEL_INTERVAL_FRAMES, Window
from rtrecon.protocol import messages
from rtrecon.testing.waiting import wait_until
from tests.support.display_window import (
    SECONDS,
    SKIP_WITHOUT_QT,
    START_S,
    list_experiment_messages,
    open_windows,
    read_middle_gray,
    show_experiment,
)

pytestmark = SKIP_WITHOUT_QT
KEY_NAMES = (
    "Space",
    "← →",
    "Page ↑ ↓",
    "↑ ↓",
    "L",
    "T",
    "+ -",
    "R R",
    "S",
    "C",
    "O",
    "P",
    "M",
    "F",
    "?",
    "Esc",
)


@pytest.fixture
def window_for(qtbot: QtBot) -> Iterator[Callable[..., Window]]:
    """A function that opens a window with these options, without a daemon."""
    with open_windows(qtbot) as open_window:
        yield open_window


def test_keys_choose_between_newest_and_final_frames(window_for, qtbot: QtBot):
    window = show_experiment(window_for(), skill=0.85)
    notes = []
    for key in (Qt.Key.Key_L, Qt.Key.Key_Down, Qt.Key.Key_L):
        notes.append(window.movie.note.text())
        qtbot.keyClick(window, key)
        window.draw(START_S + SECONDS)
    assert [note.split(", ")[0] for note in notes] == ["final", *["PROVISIONAL"] * 2]
    ages_s = [float(note.split()[-3]) for note in notes]
    assert ages_s[0] > ages_s[2] > ages_s[1]
    assert window.movie.note.text().startswith("final")


def test_what_the_data_do_not_constrain_can_be_made_transparent(
    window_for, qtbot: QtBot
):
    window = show_experiment(window_for(), skill=0.85)
    whole = window.movie.picture.grab().toImage()
    qtbot.keyClick(window, Qt.Key.Key_T)
    window.draw(START_S + SECONDS)
    faded = window.movie.picture.grab().toImage()
    corner, middle = (60, 60), (whole.width() // 2, whole.height() // 2)
    assert is_gray(whole.pixelColor(*corner))
    assert not is_gray(faded.pixelColor(*corner))
    assert is_gray(faded.pixelColor(*middle))
    assert "hatched: by prior" in window.movie.note.text()


@pytest.mark.parametrize(("skill", "is_shown"), [(0.85, True), (0.0, False)])
def test_the_spread_is_shown_unless_the_movie_is_no_better_than_chance(
    window_for, skill: float, is_shown: bool
):
    window = show_experiment(window_for(), skill=skill)
    sd = np.concatenate([np.full((7, 36, 64), 20), np.full((1, 36, 64), 50)])
    message = messages.Spread(
        session=window.state.session,
        seq=0,
        t=0.0,
        encoder_frame=0,
        hop_frames=5,
        shape=sd.shape,
        sd=20.0,
        data_share=0.84,
    )
    window.state.update(message, sd.astype(np.uint8), START_S + SECONDS)
    for _ in range(PANEL_INTERVAL_FRAMES):
        window.draw(START_S + SECONDS)
    assert ("± 20 levels" in window.movie.note.text()) == is_shown


def test_frames_without_activity_are_marked_as_extrapolated(window_for, qtbot: QtBot):
    window = window_for()
    for t_s, message, payload in list_experiment_messages(0.85):
        lost = message
        if isinstance(message, messages.Movie):
            lost = msgspec.structs.replace(
                message, information_fraction=[0.0] * len(payload)
            )
        window.state.update(lost, payload, START_S + t_s)
    window.draw(START_S + SECONDS)
    assert window.movie.note.text().startswith("EXTRAPOLATED, final")
    qtbot.keyClick(window, Qt.Key.Key_T)
    window.draw(START_S + SECONDS)
    faded = window.movie.picture.grab().toImage()
    assert not is_gray(faded.pixelColor(faded.width() // 2, faded.height() // 2))


def is_gray(color: QColor) -> bool:
    return max(color.red(), color.green(), color.blue()) - color.red() < 8


def test_the_contrast_of_the_reconstruction_can_be_changed(window_for, qtbot: QtBot):
    window = show_experiment(window_for(), skill=0.85)
    before = window.movie.picture.grab().toImage()
    qtbot.keyClick(window, Qt.Key.Key_Minus)
    window.draw(START_S + SECONDS)
    after = window.movie.picture.grab().toImage()
    for picture in (before, after):
        assert read_middle_gray(picture) > 0
    assert compute_gray_spread(after) < 0.8 * compute_gray_spread(before)
    assert window.movie.note.text().endswith("contrast x 0.7")


def compute_gray_spread(picture: QImage) -> float:
    columns = range(20, picture.width() - 20, 20)
    return float(np.std([picture.pixelColor(x, 150).red() for x in columns]))


def test_a_paused_movie_stands_still_and_can_be_moved_through_time(
    window_for, qtbot: QtBot
):
    window = show_experiment(window_for(), skill=0.85)
    live = window.movie.picture.pixels
    qtbot.keyClick(window, Qt.Key.Key_Space)
    window.draw(START_S + SECONDS + 30)  # the daemon is gone by now
    assert window.movie.picture.pixels is live
    assert window.movie.picture.notice == ""
    assert window.movie.note.text().startswith("PAUSED, final")
    assert "the last 6 s are stored (1 MB)" in window.sentence.toolTip()
    for key, moved in ((Qt.Key.Key_Left, -30), (Qt.Key.Key_Right, 0)):
        at = window.view.paused_index
        qtbot.keyClick(window, key)
        assert window.view.paused_index in (at - 30, at + 30)
        window.draw(START_S + SECONDS + 30)
        assert (window.movie.picture.pixels is live) == (moved == 0)
    qtbot.keyClick(window, Qt.Key.Key_Space)
    window.draw(START_S + SECONDS + 30)
    assert window.movie.picture.notice.startswith("No message from the daemon for 30 s")


def test_a_click_on_the_timeline_pauses_there(window_for, qtbot: QtBot):
    window = show_experiment(window_for(), skill=0.85)
    timeline = window.timeline
    for x, index in (
        (14, 59),
        (timeline.width() - 14, 179),
        (timeline.width() // 2, 92),
    ):
        qtbot.mouseClick(timeline, Qt.MouseButton.LeftButton, pos=QPoint(x, 30))
        assert window.view.paused_index == pytest.approx(index, abs=1)
        window.draw(START_S + SECONDS)


def test_the_activity_rows_are_sorted_by_a_key(window_for, qtbot: QtBot):
    window = show_experiment(window_for(), skill=0.85)
    pictures, notes = [], []
    for _ in range(4):
        pictures.append(window.panel(ActivityPanel).grab().toImage())
        notes.append(window.panel(ActivityPanel).note.text())
        qtbot.keyClick(window, Qt.Key.Key_O)
        window.draw(START_S + SECONDS)
    assert notes[1:3] == ["most active on top", "similar together"]
    assert pictures[3] == pictures[0]
    assert pictures[1] != pictures[0] != pictures[2] != pictures[1]


def test_a_key_shows_the_next_plane(window_for, qtbot: QtBot):
    window = show_experiment(window_for(), skill=0.85)
    deeper = messages.FieldImage(
        session="session-1",
        seq=0,
        t=0.0,
        frame=9,
        shape=(2, 2),
        shift_px=(0.0, 0.0),
        confidence=0.5,
        plane=3,
    )
    window.state.update(deeper, np.full((2, 2), 9, np.uint8), START_S + SECONDS)
    notes = []
    for _ in range(3):
        window.draw(START_S + SECONDS)
        notes.append(window.panel(FieldPanel).note.text())
        qtbot.keyClick(window, Qt.Key.Key_P)
    first, other = "plane 1 of 2, match 0.83", "plane 4 of 2, match 0.50"
    assert notes == [first, other, first]


def test_the_window_shows_every_panel_of_the_registry(window_for):
    window = window_for()
    assert [type(panel) for panel in window.panels] == [*PANELS, DishPage]
    keys = [binding.key for binding in window._bindings]
    assert len(keys) == len(set(keys))


def test_the_help_lists_every_key(window_for, qtbot: QtBot):
    window = window_for()
    assert window.help.isHidden()
    qtbot.keyClick(window, Qt.Key.Key_Question)
    assert window.help.isVisible()
    assert window.rect().contains(window.help.geometry())
    for name in KEY_NAMES:
        assert f"<b>{name}</b>" in window.help.text()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert window.help.isHidden()


def test_pictures_and_clips_are_saved_by_keys(window_for, qtbot, tmp_path: Path):
    window = show_experiment(window_for(folder=tmp_path), skill=0.85)
    qtbot.keyClick(window, Qt.Key.Key_S)
    assert window.sentence.toolTip().startswith("Picture saved")
    qtbot.keyClick(window, Qt.Key.Key_C)

    def is_saved() -> bool:
        window.receive(START_S + SECONDS)
        return window.sentence.toolTip().startswith("Clip saved")

    wait_until(is_saved)
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".mp4", ".png"]
