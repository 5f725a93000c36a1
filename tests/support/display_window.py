"""Opens the window without a screen and feeds it a simulated experiment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache

import numpy as np
import pytest
import zmq
from PySide6.QtGui import QImage
from pytestqt.qtbot import QtBot

from rtrecon.display import DisplayOptions
from rtrecon.display.client import DisplayClient
from rtrecon.display.screen_check import find_pyside_problem
from rtrecon.display.window import Window
from rtrecon.protocol import messages
from rtrecon.testing.display_messages import SimulatedExperiment, TimedMessage

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
SKIP_WITHOUT_QT = pytest.mark.skipif(
    bool(find_pyside_problem()), reason=find_pyside_problem()
)
NO_DAEMON = "tcp://127.0.0.1:9"
START_S = 500.0
SECONDS = 6.0


@contextmanager
def open_windows(qtbot: QtBot) -> Iterator[Callable[..., Window]]:
    """Yield a function that opens a window with these options, without a daemon."""
    windows = []  # Python must not delete a window while Qt still paints it
    with zmq.Context() as context, ExitStack() as sockets:

        def open_window(
            publish: str = NO_DAEMON, control: str = NO_DAEMON, **options
        ) -> Window:
            client = sockets.enter_context(
                closing(DisplayClient(context, (publish, control)))
            )
            window = Window(DisplayOptions(publish, control, **options), client)
            qtbot.addWidget(window)
            window.show()
            windows.append(window)
            return window

        yield open_window
        for window in windows:
            window.close()


@cache
def list_experiment_messages(skill: float) -> list[TimedMessage]:
    """All messages of an experiment with this skill of the decoding."""
    return list(SimulatedExperiment(skill=skill, seconds=SECONDS).generate_messages())


def show_experiment(
    window: Window, skill: float | None, silent_s: float = 0.0
) -> Window:
    """The window after an experiment, and then silence."""
    if skill is not None:
        for t_s, message, payload in list_experiment_messages(skill):
            window.state.update(message, payload, START_S + t_s)
    window.draw(START_S + SECONDS + silent_s)
    return window


def read_middle_gray(picture: QImage) -> int:
    return picture.pixelColor(picture.width() // 2, picture.height() // 2).red()


def compute_mean_gray(picture: QImage) -> float:
    """Mean of all pixels, 0..255."""
    gray = picture.convertToFormat(QImage.Format.Format_Grayscale8)
    rows = np.frombuffer(gray.constBits(), np.uint8).reshape(gray.height(), -1)
    return float(rows[:, : gray.width()].mean())


def send_health(window: Window, t_s: float, **fields: object) -> None:
    """Give the window the daemon's health at this time."""
    health = messages.Health(
        session="session-1", seq=9, t=0.0, process="daemon", state="running", **fields
    )
    window.state.update(health, np.empty(0), t_s)
    window.draw(t_s)
