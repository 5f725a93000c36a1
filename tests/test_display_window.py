"""The window, drawn without a screen: what it says in each state, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import zmq
from display_world import World
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from rtrecon import wire
from rtrecon.display import screen
from rtrecon.display.client import Asker, Listener
from rtrecon.display.options import DisplayOptions
from rtrecon.display.window import SIZE, Window
from rtrecon.rois import from_pixels

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytestmark = pytest.mark.skipif(bool(screen.defect()), reason=screen.defect())

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
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
    with zmq.Context() as context, ExitStack() as sockets:

        def opened(publish: str = NOBODY, control: str = NOBODY, **options) -> Window:
            window = Window(
                DisplayOptions(publish, control, **options),
                sockets.enter_context(closing(Listener(context, publish))),
                sockets.enter_context(closing(Asker(context, control))),
            )
            qtbot.addWidget(window)
            window.show()
            return window

        yield opened


def shown(window: Window, skill: float | None, silent_s: float = 0.0) -> Window:
    """The window after a world of that skill was heard, and then nothing."""
    if skill is not None:
        for t_s, message, payload in World(skill=skill, seconds=SECONDS).messages():
            window.state.take(message, payload, START_S + t_s)
    window.draw(START_S + SECONDS + silent_s)
    return window


def middle_of(picture: QImage) -> int:
    return picture.pixelColor(picture.width() // 2, picture.height() // 2).red()


@pytest.mark.parametrize(
    ("skill", "silent_s", "notice", "word"), STATES.values(), ids=STATES
)
def test_each_state_is_said_plainly(window_for, skill, silent_s, notice, word):
    window = shown(window_for(), skill, silent_s)
    assert window.movie.picture.notice == notice
    assert window.quality.word.text() == word
    assert (window.stimulus.picture.pixels is None) == bool(notice)


def test_figures_of_a_daemon_that_is_gone_are_not_shown_as_if_they_held(window_for):
    window = shown(window_for(), skill=0.85)
    values = window.health.findChildren(QLabel, "value")
    assert [value.text() for value in values][:2] == ["30.0", "4.2 / 7.9 ms"]
    window.draw(START_S + SECONDS + 7)
    assert {value.text() for value in values} == {"–"}


@pytest.mark.parametrize("skill", [None, 0.85])
def test_all_text_fits_into_the_window(window_for, qapp, skill):
    window = shown(window_for(), skill)
    window.say("A very long sentence about what has just happened. " * 20)
    qapp.processEvents()
    assert (window.width(), window.height()) == SIZE
    for label in window.findChildren(QLabel):
        assert label is window.sentence or label.sizeHint().width() <= label.width()
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
    for t_s, message, payload in World(seconds=3.0).messages():
        if not isinstance(message, wire.Seen):
            window.state.take(message, payload, START_S + t_s)
    window.draw(START_S + 3.0)
    assert window.stimulus.note.text() == "not known"
    assert window.stimulus.picture.pixels is None


def test_keys_choose_the_newest_frame_and_fade_the_unsure(window_for, qtbot: QtBot):
    window = shown(window_for(), skill=0.85)
    assert window.movie.note.text().startswith("final")
    whole = window.movie.picture.pixels
    qtbot.keyClick(window, Qt.Key.Key_T)
    window.draw(START_S + SECONDS)
    assert window.movie.picture.pixels.std() < 0.8 * whole.std()
    qtbot.keyClick(window, Qt.Key.Key_L)
    window.draw(START_S + SECONDS)
    assert window.movie.note.text().startswith("PROVISIONAL")


def test_a_mark_that_nobody_takes_is_not_passed_over(window_for, qtbot: QtBot):
    window = window_for()
    qtbot.keyClick(window, Qt.Key.Key_M)
    assert "not marked: no daemon answers" in window.sentence.text()


def test_what_arrives_is_drawn_and_what_cannot_be_is_said(window_for, free_address):
    address = free_address()
    field = wire.Field(
        session="s", seq=0, t=0.0, frame=0, shape=(2, 2), shift_px=(0, 0), confidence=1
    )
    with zmq.Context() as context, context.socket(zmq.PUB) as daemon:
        daemon.linger = 0
        daemon.bind(address)
        window = window_for(address)

        def heard() -> bool:
            daemon.send_multipart(wire.encode_published(field, b"1234"))
            daemon.send_multipart([b"field", b"{}", b""])
            window.listen(START_S)
            window.draw(START_S)
            return window.field.picture.pixels is not None

        assert until(heard)
        assert until(lambda: heard() and bool(window.sentence.toolTip()))
    assert window.sentence.toolTip().startswith("A message was refused: header")


def test_roi_centres_are_marked_on_the_field(window_for):
    point = np.array([256]), np.array([256]), np.ones(1)
    rois = from_pixels(np.array([7]), (512, 512), [point])
    plain, marked = window_for(), window_for(rois=rois)
    pictures = [shown(w, skill=0.85).field.picture for w in (plain, marked)]
    assert pictures[0].grab().toImage() != pictures[1].grab().toImage()


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


# -- as its own process --------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
from rtrecon.display import DisplayOptions, run
publish, snapshot = sys.argv[1], Path(sys.argv[2])
raise SystemExit(run(DisplayOptions(
    publish, snapshot=snapshot, headless=True, close_with_daemon=True
)))
"""


@contextmanager
def display(publish: str, snapshot: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A display process that has drawn at least once."""
    command = [sys.executable, "-c", PROGRAM, publish, str(snapshot)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            assert until(snapshot.exists)
            yield process
        finally:
            process.kill()


def until(found: Callable[[], bool], timeout_s: float = 30.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not found() and time.monotonic() < deadline:
        time.sleep(0.02)
    return found()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends it at once")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told_to(free_address, tmp_path: Path, number):
    snapshot = tmp_path / "live.png"
    with display(free_address(), snapshot) as process:
        snapshot.unlink()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert b"Traceback" not in process.stderr.read()
    assert snapshot.exists()


def test_it_closes_with_the_daemon_where_asked_to(free_address, tmp_path: Path):
    address = free_address()
    goodbye = wire.Event(session="s", seq=0, t=0.0, name="shutdown")
    with zmq.Context() as context, context.socket(zmq.PUB) as daemon:
        daemon.linger = 0
        daemon.bind(address)
        with display(address, tmp_path / "live.png") as process:

            def ended() -> bool:
                daemon.send_multipart(wire.encode_published(goodbye))
                return process.poll() is not None

            assert until(ended)
            assert process.returncode == 0


SENTENCES = {  # what is done before `run`, what the error says
    "no Qt": ("sys.modules['PySide6.QtCore'] = None", "needs PySide6"),
    "no screen": ("", "there is no screen here"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a screen")
@pytest.mark.parametrize(("before", "says"), SENTENCES.values(), ids=SENTENCES)
def test_what_keeps_a_window_from_opening_is_a_sentence(before, says):
    program = f"""
import sys
from rtrecon.display import DisplayError, DisplayOptions, run
{before}
try:
    run(DisplayOptions())
except DisplayError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={k: v for k, v in os.environ.items() if k not in SCREENS},
        capture_output=True,
        text=True,
        check=True,
    )
    assert says in done.stdout
