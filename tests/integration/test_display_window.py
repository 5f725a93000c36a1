"""The window, drawn without a screen: what it says in each state, and what keys do."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
import zmq
from PySide6.QtCore import QPoint, QSettings, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QLabel, QSplitter
from pytestqt.qtbot import QtBot

from rtrecon.display import screen
from rtrecon.display.client import Asker, Client
from rtrecon.display.layout import SIZE
from rtrecon.display.options import DisplayOptions
from rtrecon.display.view import View
from rtrecon.display.window import Window
from rtrecon.protocol import messages
from rtrecon.testing.display_messages import Timed, World
from rtrecon.testing.waiting import until

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytestmark = pytest.mark.skipif(bool(screen.defect()), reason=screen.defect())

NOBODY = "tcp://127.0.0.1:9"
START_S = 500.0
SECONDS = 6.0

STATES = {  # skill of the world (none = nothing heard), s of silence, notice, word
    "good": (0.85, 0.0, "", "GOOD"),
    "fair": (0.5, 0.0, "", "FAIR"),
    "poor": (0.05, 0.0, "", "POOR"),
    "waiting": (None, 0.0, "Waiting for the daemon", "NO DATA"),
    "gone": (0.85, 7.0, "Daemon silent for 7 s", "NO DATA"),
}


@pytest.fixture
def window_for(qtbot: QtBot) -> Iterator[Callable[..., Window]]:
    """A function that opens a window with the options given, addressed to nobody."""
    windows = []  # or one could be collected as garbage while Qt still paints it
    with zmq.Context() as context, ExitStack() as sockets:

        def opened(publish: str = NOBODY, control: str = NOBODY, **options) -> Window:
            client = sockets.enter_context(closing(Client(context, (publish, control))))
            window = Window(DisplayOptions(publish, control, **options), client)
            qtbot.addWidget(window)
            window.show()
            windows.append(window)
            return window

        yield opened
        for window in windows:
            window.close()


@cache
def told(skill: float) -> list[Timed]:
    """What a world of that skill tells."""
    return list(World(skill=skill, seconds=SECONDS).messages())


def shown(window: Window, skill: float | None, silent_s: float = 0.0) -> Window:
    """The window after a world of that skill was heard, and then nothing."""
    if skill is not None:
        for t_s, message, payload in told(skill):
            window.state.take(message, payload, START_S + t_s)
    window.draw(START_S + SECONDS + silent_s)
    return window


def middle_of(picture: QImage) -> int:
    return picture.pixelColor(picture.width() // 2, picture.height() // 2).red()


def brightness(picture: QImage) -> float:
    """Mean of all pixels, 0..255."""
    gray = picture.convertToFormat(QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(gray.constBits(), np.uint8).reshape(gray.height(), -1)
    return float(rows[:, : gray.width()].mean())


@pytest.mark.parametrize(
    ("skill", "silent_s", "notice", "word"), STATES.values(), ids=STATES
)
def test_each_state_is_said_plainly(window_for, skill, silent_s, notice, word):
    window = shown(window_for(), skill, silent_s)
    assert window.movie.picture.notice.split("\n")[0] == notice
    assert window.quality.word.text() == word
    assert (window.stimulus.picture.pixels is None) == bool(notice)


def test_figures_of_a_daemon_that_is_gone_are_not_shown_as_if_they_held(window_for):
    window = shown(window_for(), skill=0.85)
    values = window.health.findChildren(QLabel, "value")
    assert [value.text() for value in values][:2] == ["30.0", "4.2 / 7.9 ms"]
    live = window.raster.grab().toImage()
    window.draw(START_S + SECONDS + 7)
    assert {value.text() for value in values} == {"–"}
    assert brightness(window.raster.grab().toImage()) < 0.8 * brightness(live)
    window.draw(START_S + SECONDS)
    assert window.raster.grab().toImage() == live


@pytest.mark.parametrize("skill", [None, 0.85])
def test_all_text_fits_into_the_window(window_for, qapp, skill):
    window = shown(window_for(), skill)
    window.say("A very long sentence about what has just happened. " * 20)
    qapp.processEvents()
    assert (window.width(), window.height()) == SIZE
    for label in window.findChildren(QLabel):
        fits = label.sizeHint().width() <= label.width() or label.wordWrap()
        assert fits or label is window.sentence, label.text()
    assert window.sentence.text().endswith("…")


def test_gray_is_shown_as_it_was_sent(window_for):
    window = window_for()
    window.movie.picture.draw(np.full((36, 64), 200, np.uint8))
    assert middle_of(window.movie.picture.grab().toImage()) == 200
    window.movie.picture.draw(np.full((36, 64), 20, np.uint8), "silent")
    assert middle_of(window.movie.picture.grab().toImage()) != 20


def test_movie_and_stimulus_have_the_same_size_and_the_same_moment(window_for):
    window = shown(window_for(), skill=1.0)
    movie, stimulus = window.movie.picture, window.stimulus.picture
    assert movie.size() == stimulus.size()
    alike = np.corrcoef(movie.pixels.ravel(), stimulus.pixels.ravel())[0, 1]
    assert alike > 0.8


def test_without_a_known_stimulus_that_is_said(window_for):
    window = window_for()
    for t_s, message, payload in told(0.85):
        if not isinstance(message, messages.Seen):
            window.state.take(message, payload, START_S + t_s)
    window.draw(START_S + SECONDS)
    assert window.stimulus.note.text() == "not known"
    assert window.stimulus.picture.pixels is None


def test_keys_choose_how_settled_the_movie_is(window_for, qtbot: QtBot):
    window = shown(window_for(), skill=0.85)
    notes = []
    for key in (Qt.Key.Key_L, Qt.Key.Key_Down, Qt.Key.Key_L):
        notes.append(window.movie.note.text())
        qtbot.keyClick(window, key)
        window.draw(START_S + SECONDS)
    assert [note.split(", ")[0] for note in notes] == ["final", *["PROVISIONAL"] * 2]
    ages_s = [float(note.split()[-3]) for note in notes]
    assert ages_s[0] > ages_s[2] > ages_s[1]
    assert window.movie.note.text().startswith("final")


def test_what_the_data_cannot_tell_is_let_through(window_for, qtbot: QtBot):
    window = shown(window_for(), skill=0.85)
    whole = window.movie.picture.grab().toImage()
    qtbot.keyClick(window, Qt.Key.Key_T)
    window.draw(START_S + SECONDS)
    faded = window.movie.picture.grab().toImage()
    corner, middle = (60, 60), (whole.width() // 2, whole.height() // 2)
    assert is_gray(whole.pixelColor(*corner))
    assert not is_gray(faded.pixelColor(*corner))
    assert is_gray(faded.pixelColor(*middle))
    assert "hatched: not told by the data" in window.movie.note.text()


def test_where_activity_was_lost_the_movie_says_that_it_is_a_guess(
    window_for, qtbot: QtBot
):
    window = window_for()
    for t_s, message, payload in told(0.85):
        lost = message
        if isinstance(message, messages.Movie):
            lost = msgspec.structs.replace(
                message, information_fraction=[0.0] * len(payload)
            )
        window.state.take(lost, payload, START_S + t_s)
    window.draw(START_S + SECONDS)
    assert window.movie.note.text().startswith("EXTRAPOLATED, final")
    qtbot.keyClick(window, Qt.Key.Key_T)
    window.draw(START_S + SECONDS)
    faded = window.movie.picture.grab().toImage()
    assert not is_gray(faded.pixelColor(faded.width() // 2, faded.height() // 2))


def is_gray(color: QColor) -> bool:
    return max(color.red(), color.green(), color.blue()) - color.red() < 8


def test_contrast_is_the_reconstructions_and_is_said(window_for, qtbot: QtBot):
    window = shown(window_for(), skill=0.85)
    before = window.movie.picture.grab().toImage()
    qtbot.keyClick(window, Qt.Key.Key_Minus)
    window.draw(START_S + SECONDS)
    after = window.movie.picture.grab().toImage()
    for picture in (before, after):
        assert middle_of(picture) > 0
    assert spread(after) < 0.8 * spread(before)
    assert window.movie.note.text().endswith("contrast x 0.7")


def spread(picture: QImage) -> float:
    columns = range(20, picture.width() - 20, 20)
    return float(np.std([picture.pixelColor(x, 150).red() for x in columns]))


def test_a_held_movie_stands_still_whatever_comes_and_can_be_scrubbed(
    window_for, qtbot: QtBot
):
    window = shown(window_for(), skill=0.85)
    live = window.movie.picture.pixels
    qtbot.keyClick(window, Qt.Key.Key_Space)
    window.draw(START_S + SECONDS + 30)  # the daemon is gone by now
    assert window.movie.picture.pixels is live
    assert window.movie.picture.notice == ""
    assert window.movie.note.text().startswith("HELD, final")
    assert "the last 6 s are kept (1 MB)" in window.sentence.toolTip()
    for key, moved in ((Qt.Key.Key_Left, -30), (Qt.Key.Key_Right, 0)):
        at = window.view.held
        qtbot.keyClick(window, key)
        assert window.view.held in (at - 30, at + 30)
        window.draw(START_S + SECONDS + 30)
        assert (window.movie.picture.pixels is live) == (moved == 0)
    qtbot.keyClick(window, Qt.Key.Key_Space)
    window.draw(START_S + SECONDS + 30)
    assert window.movie.picture.notice.startswith("Daemon silent for 30 s")


def test_a_click_into_the_line_of_time_goes_there(window_for, qtbot: QtBot):
    window = shown(window_for(), skill=0.85)
    strip = window.strip
    for x, index in ((14, 59), (strip.width() - 14, 179), (strip.width() // 2, 92)):
        qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(x, 30))
        assert window.view.held == pytest.approx(index, abs=1)
        window.draw(START_S + SECONDS)


def test_rows_of_activity_are_sorted_on_request(window_for, qtbot: QtBot):
    window = shown(window_for(), skill=0.85)
    pictures, notes = [], []
    for _ in range(4):
        pictures.append(window.raster.grab().toImage())
        notes.append(window.raster.note.text())
        qtbot.keyClick(window, Qt.Key.Key_O)
        window.draw(START_S + SECONDS)
    assert notes[1:3] == ["busiest on top", "alike together"]
    assert pictures[3] == pictures[0]
    assert pictures[1] != pictures[0] != pictures[2] != pictures[1]


def test_planes_are_shown_one_after_the_other(window_for, qtbot: QtBot):
    window = shown(window_for(), skill=0.85)
    deeper = messages.Field(
        session="session-1",
        seq=0,
        t=0.0,
        frame=9,
        shape=(2, 2),
        shift_px=(0.0, 0.0),
        confidence=0.5,
        plane=3,
    )
    window.state.take(deeper, np.full((2, 2), 9, np.uint8), START_S + SECONDS)
    notes = []
    for _ in range(3):
        window.draw(START_S + SECONDS)
        notes.append(window.field.note.text())
        qtbot.keyClick(window, Qt.Key.Key_P)
    first, other = "plane 1 of 2, match 0.83", "plane 4 of 2, match 0.50"
    assert notes == [first, other, first]


def test_the_help_lists_every_key(window_for, qtbot: QtBot):
    window = window_for()
    assert window.help.isHidden()
    qtbot.keyClick(window, Qt.Key.Key_Question)
    assert window.help.isVisible()
    assert window.rect().contains(window.help.geometry())
    for name in ("Space", "← →", "↑ ↓", "L", "T", "O", "P", "S", "C", "M", "F"):
        assert f"<b>{name}</b>" in window.help.text()
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert window.help.isHidden()


def test_pictures_and_clips_are_saved_on_request(window_for, qtbot, tmp_path: Path):
    window = shown(window_for(folder=tmp_path), skill=0.85)
    qtbot.keyClick(window, Qt.Key.Key_S)
    assert window.sentence.toolTip().startswith("Picture saved")
    qtbot.keyClick(window, Qt.Key.Key_C)

    def saved() -> bool:
        window.listen(START_S + SECONDS)
        return window.sentence.toolTip().startswith("Clip saved")

    until(saved)
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".mp4", ".png"]


# -- what is asked of the daemon -----------------------------------------------------


@pytest.fixture
def asked() -> Iterator[zmq.Socket]:
    """A daemon's control socket, on a free port."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as daemon:
        daemon.linger = 0
        daemon.rcvtimeo = 30_000
        daemon.bind("tcp://127.0.0.1:0")
        yield daemon


def connected(daemon: zmq.Socket, asker: Asker) -> None:
    """Wait until what is asked gets through."""
    while not asker.ask("status"):
        time.sleep(0.01)
    daemon.recv_multipart()


def test_a_note_reaches_the_daemon(window_for, qtbot: QtBot, asked: zmq.Socket):
    window = window_for(control=asked.getsockopt_string(zmq.LAST_ENDPOINT))
    connected(asked, window._client.asker)
    qtbot.keyClick(window, Qt.Key.Key_M)
    assert window.note.isVisible()
    qtbot.keyClicks(window.note, "grating 90 deg? L T")
    qtbot.keyClick(window.note, Qt.Key.Key_Return)
    *route, request = asked.recv_multipart()
    assert json.loads(request) == {"op": "mark", "note": "grating 90 deg? L T"}
    assert window.note.isHidden()
    assert window.view == View()  # letters of a note are no commands
    asked.send_multipart([*route, b'{"ok": true, "sentence": "noted"}'])

    def answered() -> bool:
        window.listen(START_S)
        return window.sentence.text() == "noted"

    until(answered)


def test_a_note_can_be_given_up(window_for, qtbot: QtBot):
    window = window_for()
    qtbot.keyClick(window, Qt.Key.Key_M)
    qtbot.keyClick(window.note, Qt.Key.Key_Escape)
    assert window.note.isHidden()
    assert window.sentence.text() == ""


def test_a_mark_that_nobody_takes_is_not_passed_over(window_for, qtbot: QtBot):
    window = window_for()
    qtbot.keyClick(window, Qt.Key.Key_M)
    qtbot.keyClick(window.note, Qt.Key.Key_Return)
    assert "not marked: no daemon answers" in window.sentence.text()


def test_regions_are_outlined_on_the_field(window_for, asked: zmq.Socket):
    window = window_for(control=asked.getsockopt_string(zmq.LAST_ENDPOINT))
    connected(asked, window._client.masks)
    plain = shown(window, skill=0.85).field.picture.grab().toImage()
    window.listen(START_S + SECONDS)
    *route, request = asked.recv_multipart()
    assert json.loads(request) == {"op": "masks"}
    labels = np.zeros((1, 64, 64), "<u2")
    labels[0, 20:40, 20:40] = 1
    answer = b'{"ok": true, "sentence": "1 neuron", "masks": [1, 64, 64]}'
    asked.send_multipart([*route, answer, labels.tobytes()])

    def outlined() -> bool:
        window.listen(START_S + SECONDS)
        window.draw(START_S + SECONDS)
        return window.field.picture.grab().toImage() != plain

    until(outlined)


# -- what stays ----------------------------------------------------------------------


def test_the_layout_is_remembered_where_asked_for(window_for, tmp_path: Path):
    form, scope = QSettings.Format.IniFormat, QSettings.Scope.UserScope
    QSettings.setPath(form, scope, str(tmp_path))
    one = window_for(remember=True)
    usual = upper_share(one)
    one.findChild(QSplitter, "rows").setSizes([450, 350])
    one.resize(SIZE[0] - 100, SIZE[1] - 100)
    assert upper_share(one) < usual - 0.02
    one.close()
    again, other = window_for(remember=True), window_for()
    assert upper_share(again) == pytest.approx(upper_share(one), abs=0.01)
    assert upper_share(other) == pytest.approx(usual, abs=0.01)


def upper_share(window: Window) -> float:
    sizes = window.findChild(QSplitter, "rows").sizes()
    return float(sizes[0] / sum(sizes))


def test_what_arrives_is_drawn_and_what_cannot_be_is_said(window_for, free_address):
    address = free_address()
    field = messages.Field(
        session="s", seq=0, t=0.0, frame=0, shape=(2, 2), shift_px=(0, 0), confidence=1
    )
    with zmq.Context() as context, context.socket(zmq.PUB) as daemon:
        daemon.linger = 0
        daemon.bind(address)
        window = window_for(address)

        def heard() -> bool:
            daemon.send_multipart(messages.encode_published(field, b"1234"))
            daemon.send_multipart([b"field", b"{}", b""])
            window.listen(START_S)
            window.draw(START_S)
            return window.field.picture.pixels is not None

        until(heard)
        until(lambda: heard() and bool(window.sentence.toolTip()))
    assert window.sentence.toolTip().startswith("A message was refused: header")


def test_the_snapshot_is_the_window_and_never_half_written(window_for, tmp_path: Path):
    path = tmp_path / "folder" / "live.png"
    window = shown(window_for(snapshot=path), skill=0.85)
    window.save_snapshot()
    picture = QImage(str(path))
    assert (picture.width(), picture.height()) == SIZE
    assert [file.name for file in path.parent.iterdir()] == ["live.png"]


def test_a_snapshot_that_cannot_be_written_is_said_and_the_window_goes_on(
    window_for, tmp_path: Path
):
    (tmp_path / "file").touch()
    window = window_for(snapshot=tmp_path / "file" / "live.png")
    window.save_snapshot()
    assert "cannot be written" in window.sentence.toolTip()
