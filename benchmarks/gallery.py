"""Makes the pictures of the display for the documentation, one for each state.

    python benchmarks/gallery.py [--out docs/pictures] [--seconds 60]

A daemon runs with the shipped encoder. A second process sends a simulated mouse to it,
and a window, drawn without a screen, receives the results over the network. For the
picture of a poor reconstruction the neurons are sent in another order than the
encoder's, as by a mistake at a real microscope.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import numpy as np
import zmq
from PIL import Image
from PySide6.QtCore import QEventLoop, QPoint, QRect, Qt, QTimer
from PySide6.QtGui import QColor, QFont, QPainter, QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from rich import print as show

from rtrecon import config
from rtrecon.config import EncoderSettings, RegistrationSettings, Settings
from rtrecon.display import DisplayOptions, theme
from rtrecon.display.application import create_application
from rtrecon.display.client import DisplayClient
from rtrecon.display.panels.quality import LABEL_COLORS, QualityPanel
from rtrecon.display.window import Window
from rtrecon.encoder.card import find_checkpoint, read_card
from rtrecon.simulate.imaged_mouse import make_imaged_mouse, read_imaged_mouse
from rtrecon.simulate.microscope import image_field
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import (
    SimulatedSession,
    simulate_session,
    start_message_fields,
    stream_session,
)
from rtrecon.testing.daemon_process import make_settings
from rtrecon.transport.senders import SessionSender

TIMEOUT_S = 120.0
SEED = 5001  # of a movie that the encoder was not trained on
SILENCE_S = 5.0  # how long the daemon has been gone in the last picture
_SWATCH_PX = 60
_NUMBER_PX = 30  # diameter of a numbered circle


def main() -> None:
    arguments = _parse_arguments()
    if arguments.send:
        _send_session(arguments.send, arguments.seconds, shuffled=arguments.shuffled)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        settings = _make_settings(Path(scratch))
        file = Path(scratch) / "settings.json"
        file.write_text(config.dump(settings), encoding="utf-8")
        with _open_window(settings) as window:
            gallery = Gallery(window, arguments.out)
            _take_pictures(gallery, settings, file, arguments.seconds)


class Gallery:
    """A window, the keys that are pressed in it, and the pictures of it."""

    def __init__(self, window: Window, folder: Path) -> None:
        self.window = window
        self._folder = folder

    def wait_until(self, condition: Callable[[Window], bool]) -> None:
        """Let the window run until the condition is true."""
        deadline_s = time.monotonic() + TIMEOUT_S
        while not condition(self.window):
            if time.monotonic() > deadline_s:
                notice = self.window.state.notice(time.monotonic())
                raise TimeoutError(f"the window shows instead: {notice or 'a movie'}")
            run_event_loop(0.1)

    def wait_for_word(self, word: str) -> None:
        """Let the window run until the quality has this word."""
        self.wait_until(lambda window: window.panel(QualityPanel).word.text() == word)

    def press(self, *keys: Qt.Key) -> None:
        """Press keys one after the other."""
        for key in keys:
            QTest.keyClick(self.window, key)

    def save_picture(self, name: str, numbered: bool = False) -> None:
        """Save a picture of the window; `numbered`: with numbers on its parts."""
        run_event_loop(0.3)
        picture = self.window.grab()
        if numbered:
            _draw_numbers(picture, self.window)
        path = self._folder / f"{name}.png"
        picture.save(str(path), "PNG")
        _reduce_colors(path)
        show(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def _take_pictures(
    gallery: Gallery, settings: Settings, file: Path, seconds: float
) -> None:
    key = Qt.Key
    with _run_python("-m", "rtrecon", "run", str(file)):
        gallery.wait_until(lambda window: len(window.state.health) == 2)
        gallery.save_picture("no-data")
        with _send_mouse(settings, seconds + 10):
            gallery.wait_until(lambda window: _movie_duration_s(window) > seconds)
            gallery.wait_for_word("GOOD")
            gallery.save_picture("good")
            gallery.save_picture("numbered", numbered=True)
            gallery.press(key.Key_T, key.Key_Up, key.Key_Up, key.Key_O, key.Key_O)
            gallery.save_picture("provisional")
            gallery.press(key.Key_T, key.Key_Down, key.Key_Down, key.Key_O)
            gallery.press(key.Key_Space, *[key.Key_Left] * 9)
            gallery.press(key.Key_Question)
            gallery.save_picture("paused")
            gallery.press(key.Key_Escape, key.Key_Space)
        session = gallery.window.state.session
        # By chance the quality may exceed the null level for a while: wait longer.
        with _send_mouse(settings, 2 * seconds, "--shuffled"):
            gallery.wait_until(lambda window: window.state.session != session)
            gallery.wait_until(lambda window: _movie_duration_s(window) > seconds / 2)
            gallery.wait_for_word("POOR")
            gallery.save_picture("poor")
    gallery.wait_until(lambda window: window.state.is_daemon_silent(time.monotonic()))
    run_event_loop(SILENCE_S)
    gallery.save_picture("daemon-silent")


def _draw_numbers(picture: QPixmap, window: Window) -> None:
    """Draw a numbered circle on each part, in the order of docs/gui-tour.md."""
    parts: list[QWidget] = [window.movie, window.stimulus, window.timeline]
    parts += [panel for panel in window.panels if panel is not window.dish_page]
    centres = [part.mapTo(window, part.rect().center()) for part in parts]
    centres.append(_centre_of_gap(window, window.health_line, 3))
    sentence, states = window.sentence.geometry(), window.process_states.geometry()
    x = sentence.left() + sentence.width() * 9 // 10
    centres.append(QPoint(x, sentence.center().y()))
    centres.append(QPoint(states.left() - _NUMBER_PX // 2, states.center().y()))
    font = QFont(window.font())
    font.setPixelSize(_NUMBER_PX * 3 // 5)
    font.setBold(True)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setFont(font)
    for number, centre in enumerate(centres, 1):
        circle = QRect(0, 0, _NUMBER_PX, _NUMBER_PX)
        circle.moveCenter(centre)
        painter.setPen(QColor(theme.BACKGROUND))
        painter.setBrush(QColor(theme.AMBER))
        painter.drawEllipse(circle)
        painter.drawText(circle, Qt.AlignmentFlag.AlignCenter, str(number))
    painter.end()


def _centre_of_gap(window: Window, line: QWidget, index: int) -> QPoint:
    """Return the point between two labels of the health line."""
    left, right = line.findChildren(QLabel, "label")[index : index + 2]
    x = (left.geometry().right() + right.geometry().left()) // 2
    return line.mapTo(window, QPoint(x, line.height() // 2))


def _reduce_colors(path: Path) -> None:
    """Save a picture with 256 colours, which halves its size.

    Swatches beside the picture make sure that no colour with a meaning is lost.
    """
    colors = [*LABEL_COLORS.values(), theme.SKY, theme.PINK, theme.ORANGE, theme.TEXT]
    with Image.open(path) as picture:
        size = picture.width, picture.height + _SWATCH_PX
        with_swatches = Image.new("RGB", size)
        with_swatches.paste(picture)
    top = with_swatches.height - _SWATCH_PX
    for i, color in enumerate(colors):
        left = i * _SWATCH_PX
        with_swatches.paste(color, (left, top, left + _SWATCH_PX, top + _SWATCH_PX))
    reduced = with_swatches.quantize(256, dither=Image.Dither.NONE)
    reduced.crop((0, 0, with_swatches.width, top)).save(path, optimize=True)


def run_event_loop(seconds: float) -> None:
    """Let the window run for so many seconds."""
    loop = QEventLoop()
    QTimer.singleShot(round(1e3 * seconds), loop.quit)
    loop.exec()


def _movie_duration_s(window: Window) -> float:
    span = window.state.playback.span
    return 0.0 if span is None else span.newest / RATE_HZ


@contextmanager
def _open_window(settings: Settings) -> Iterator[Window]:
    app = create_application(headless=True)
    addresses = settings.network.publish, settings.network.control
    with zmq.Context() as context, closing(DisplayClient(context, addresses)) as client:
        window = Window(DisplayOptions(*addresses), client)
        window.show()
        window.start()
        yield window
        window.close()
    app.processEvents()


@contextmanager
def _run_python(*arguments: str) -> Iterator[None]:
    """Run Python with these arguments; the process is killed at the end."""
    with subprocess.Popen([sys.executable, *arguments]) as process:
        try:
            yield
        finally:
            process.kill()


def _send_mouse(
    settings: Settings, seconds: float, *options: str
) -> AbstractContextManager[None]:
    address = settings.network.frames
    arguments = ["--send", address, "--seconds", str(seconds), *options]
    return _run_python(__file__, *arguments)


def _send_session(address: str, seconds: float, *, shuffled: bool) -> None:
    session = _simulate(seconds, shuffled=shuffled)
    sender = SessionSender(address, None, **start_message_fields(session))
    try:
        if sender.wait_for_daemon(TIMEOUT_S):
            stream_session(session, sender)
    finally:
        sender.close()


def _simulate(seconds: float, *, shuffled: bool) -> SimulatedSession:
    card = read_card(find_checkpoint("demo"))
    imaged = make_imaged_mouse(read_imaged_mouse(card.metadata, card.path))
    n_neurons = len(imaged.mouse)
    movie = make_natural_movie(round(seconds * RATE_HZ), SEED)
    session = simulate_session(imaged, movie, "leaves", SEED)
    if not shuffled:
        return session
    order = np.random.default_rng(SEED).permutation(n_neurons)
    spikes = session.response.spikes[:, order]
    recording = image_field(imaged.field, spikes, RATE_HZ, SEED)
    return SimulatedSession(
        "leaves", movie, session.behavior, session.response, recording
    )


def _make_settings(scratch: Path) -> Settings:
    return make_settings(
        scratch,
        registration=RegistrationSettings(template_frames=30),
        encoder=EncoderSettings(checkpoint="demo"),
    )


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="duration of each session"
    )
    parser.add_argument("--send", help=argparse.SUPPRESS)
    parser.add_argument("--shuffled", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
