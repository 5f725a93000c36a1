"""The display in each of its states, as pictures: a daemon, a mouse and a window.

    python benchmarks/gallery.py [--out docs/pictures] [--seconds 60]

Everything is real but the light: a daemon runs with the shipped encoder, the simulated
mouse is sent from a process of its own, and a window, drawn without a screen, hears it
on the wire. The poor session is a real mistake: neurons in another order than the
encoder's.
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
from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtTest import QTest
from rich import print as show

from rtrecon import config
from rtrecon.config import EncoderSettings, RegisterSettings, Settings
from rtrecon.display import DisplayOptions, screen, theme
from rtrecon.display.client import Client
from rtrecon.display.window import Window
from rtrecon.encoder.card import find, read_card
from rtrecon.simulate.microscope import record
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.simulate.session import (
    Session,
    make_session,
    make_world,
    start_fields,
    stream,
)
from rtrecon.testing.daemon_process import settings_in
from rtrecon.transport.sender import Sender

PATIENCE_S = 120.0
SEED = 5001  # of a movie that the encoder was not trained on
_SWATCH_PX = 60
SILENT_S = 5.0  # how long the daemon is gone in the last picture


def main() -> None:
    arguments = _arguments()
    if arguments.send:
        _send(arguments.send, arguments.seconds, exchanged=arguments.exchanged)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        settings = _settings(Path(scratch))
        file = Path(scratch) / "settings.json"
        file.write_text(config.dump(settings), encoding="utf-8")
        with _window(settings) as window:
            _pictures(Gallery(window, arguments.out), settings, file, arguments.seconds)


class Gallery:
    """A window that is waited for, handled and photographed."""

    def __init__(self, window: Window, out: Path) -> None:
        self.window = window
        self._out = out

    def wait(self, found: Callable[[Window], bool]) -> None:
        """Let the window run until something is found in it."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not found(self.window):
            if time.monotonic() > deadline_s:
                notice = self.window.state.notice(time.monotonic())
                raise TimeoutError(f"the window does not get there; it says: {notice}")
            run_for(0.1)

    def press(self, *keys: Qt.Key) -> None:
        """Press keys one after the other."""
        for key in keys:
            QTest.keyClick(self.window, key)

    def take(self, name: str) -> None:
        """Write a picture of the window."""
        run_for(0.3)
        path = self._out / f"{name}.png"
        self.window.grab().save(str(path), "PNG")
        _use_few_colors(path)
        show(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def _pictures(gallery: Gallery, settings: Settings, file: Path, seconds: float) -> None:
    with _program("-m", "rtrecon", "run", str(file)):
        gallery.wait(lambda window: len(window.state.health) == 2)
        gallery.take("no-data")
        with _mouse(settings, seconds + 10):
            gallery.wait(lambda window: _movie_s(window) > seconds)
            gallery.wait(lambda window: window.quality.word.text() == "GOOD")
            gallery.take("good")
            gallery.press(Qt.Key.Key_T, Qt.Key.Key_L, Qt.Key.Key_O, Qt.Key.Key_O)
            gallery.take("provisional")
            gallery.press(Qt.Key.Key_T, Qt.Key.Key_L, Qt.Key.Key_O)
            gallery.press(Qt.Key.Key_Space, *[Qt.Key.Key_Left] * 9)
            gallery.press(Qt.Key.Key_Question)
            gallery.take("held")
            gallery.press(Qt.Key.Key_Escape, Qt.Key.Key_Space)
        session = gallery.window.state.session
        # Chance is above the null's level at times: so much longer for a poor moment.
        with _mouse(settings, 2 * seconds, "--exchanged"):
            gallery.wait(lambda window: window.state.session != session)
            gallery.wait(lambda window: _movie_s(window) > seconds / 2)
            gallery.wait(lambda window: window.quality.word.text() == "POOR")
            gallery.take("poor")
    gallery.wait(lambda window: "silent" in window.state.notice(time.monotonic()))
    run_for(SILENT_S)
    gallery.take("gone")


def _use_few_colors(path: Path) -> None:
    """Save a picture with 256 colours, for it is looked at on a page: half the bytes.

    Swatches beside it see to it that each colour with a meaning is among them.
    """
    meanings = [
        *theme.VERDICT.values(),
        theme.SKY,
        theme.PINK,
        theme.ORANGE,
        theme.TEXT,
    ]
    with Image.open(path) as whole:
        swatches = Image.new("RGB", (whole.width, whole.height + _SWATCH_PX))
        swatches.paste(whole)
    for nth, color in enumerate(meanings):
        left, top = nth * _SWATCH_PX, swatches.height - _SWATCH_PX
        swatches.paste(color, (left, top, left + _SWATCH_PX, swatches.height))
    few = swatches.quantize(256, dither=Image.Dither.NONE)
    few.crop((0, 0, swatches.width, swatches.height - _SWATCH_PX)).save(
        path, optimize=True
    )


def run_for(seconds: float) -> None:
    """Let the window live so long."""
    loop = QEventLoop()
    QTimer.singleShot(round(1e3 * seconds), loop.quit)
    loop.exec()


def _movie_s(window: Window) -> float:
    span = window.state.playback.span
    return 0.0 if span is None else span.newest / RATE_HZ


@contextmanager
def _window(settings: Settings) -> Iterator[Window]:
    app = screen.application(headless=True)
    addresses = settings.wire.publish, settings.wire.control
    with zmq.Context() as context, closing(Client(context, addresses)) as client:
        window = Window(DisplayOptions(*addresses), client)
        window.show()
        window.start()
        yield window
        window.close()
    app.processEvents()


@contextmanager
def _program(*arguments: str) -> Iterator[None]:
    """Run Python with these arguments; killed at the end, as by a power cut."""
    with subprocess.Popen([sys.executable, *arguments]) as process:
        try:
            yield
        finally:
            process.kill()


def _mouse(
    settings: Settings, seconds: float, *more: str
) -> AbstractContextManager[None]:
    arguments = ["--send", settings.wire.frames, "--seconds", str(seconds), *more]
    return _program(__file__, *arguments)


def _send(address: str, seconds: float, *, exchanged: bool) -> None:
    session = _session(seconds, exchanged=exchanged)
    sender = Sender(address, None, **start_fields(session))
    try:
        if sender.wait_for_daemon(PATIENCE_S):
            stream(session, sender)
    finally:
        sender.close()


def _session(seconds: float, *, exchanged: bool) -> Session:
    mouse = read_card(find("demo")).meta["simulated"]
    n_neurons = mouse["n_neurons"]
    world = make_world(n_neurons, mouse["side_px"], mouse["mouse_seed"])
    movie = natural_movie(round(seconds * RATE_HZ), SEED)
    session = make_session(world, movie, "leaves", SEED)
    if not exchanged:
        return session
    order = np.random.default_rng(SEED).permutation(n_neurons)
    spikes = session.response.spikes[:, order]
    recording = record(world.field, spikes, RATE_HZ, SEED)
    return Session("leaves", movie, session.behavior, session.response, recording)


def _settings(scratch: Path) -> Settings:
    return settings_in(
        scratch,
        register_=RegisterSettings(template_frames=30),
        encoder=EncoderSettings(checkpoint="demo"),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    parser.add_argument("--seconds", type=float, default=60.0, help="of each session")
    parser.add_argument("--send", help=argparse.SUPPRESS)
    parser.add_argument("--exchanged", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
