"""The window's requests to the daemon, and what it receives and saves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq
from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QSplitter
from pytestqt.qtbot import QtBot

from rtrecon.display.client import RequestSocket
from rtrecon.display.layout import DEFAULT_SIZE
from rtrecon.display.panels.field import FieldPanel
from rtrecon.display.view import View
from rtrecon.display.window import Window
from rtrecon.protocol import messages
from rtrecon.testing.waiting import wait_until
from tests.support.display_window import (
    SECONDS,
    SKIP_WITHOUT_QT,
    START_S,
    open_windows,
    show_experiment,
)

pytestmark = SKIP_WITHOUT_QT


@pytest.fixture
def window_for(qtbot: QtBot) -> Iterator[Callable[..., Window]]:
    """A function that opens a window with these options, without a daemon."""
    with open_windows(qtbot) as open_window:
        yield open_window


@pytest.fixture
def control() -> Iterator[zmq.Socket]:
    """A daemon's control socket, on a free port."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as daemon:
        daemon.linger = 0
        daemon.rcvtimeo = 30_000
        daemon.bind("tcp://127.0.0.1:0")
        yield daemon


def wait_for_connection(daemon: zmq.Socket, requests: RequestSocket) -> None:
    """Wait until requests reach the daemon."""
    while not requests.send_request("status"):
        time.sleep(0.01)
    daemon.recv_multipart()


def test_a_note_reaches_the_daemon(window_for, qtbot: QtBot, control: zmq.Socket):
    window = window_for(control=control.getsockopt_string(zmq.LAST_ENDPOINT))
    wait_for_connection(control, window._client.requests)
    qtbot.keyClick(window, Qt.Key.Key_M)
    assert window.note.isVisible()
    qtbot.keyClicks(window.note, "grating 90 deg? L T")
    qtbot.keyClick(window.note, Qt.Key.Key_Return)
    *route, request = control.recv_multipart()
    assert json.loads(request) == {"op": "mark", "note": "grating 90 deg? L T"}
    assert window.note.isHidden()
    assert window.view == View()  # letters of a note do not act as keys
    control.send_multipart([*route, b'{"ok": true, "sentence": "noted"}'])

    def is_answered() -> bool:
        window.receive(START_S)
        return window.sentence.text() == "noted"

    wait_until(is_answered)


def test_a_new_reference_is_requested_by_pressing_r_twice(
    window_for, qtbot: QtBot, control: zmq.Socket
):
    window = window_for(control=control.getsockopt_string(zmq.LAST_ENDPOINT))
    wait_for_connection(control, window._client.requests)
    qtbot.keyClick(window, Qt.Key.Key_R)
    assert window.sentence.toolTip().startswith("Press R again within 3 s")
    qtbot.keyClick(window, Qt.Key.Key_R)
    *_, request = control.recv_multipart()
    assert json.loads(request) == {"op": "reference"}


def test_a_note_can_be_discarded(window_for, qtbot: QtBot):
    window = window_for()
    qtbot.keyClick(window, Qt.Key.Key_M)
    qtbot.keyClick(window.note, Qt.Key.Key_Escape)
    assert window.note.isHidden()
    assert window.sentence.text() == ""


def test_a_note_that_no_daemon_receives_is_reported(window_for, qtbot: QtBot):
    window = window_for()
    qtbot.keyClick(window, Qt.Key.Key_M)
    qtbot.keyClick(window.note, Qt.Key.Key_Return)
    assert "note not sent: the daemon does not answer" in window.sentence.text()


def test_neurons_are_outlined_on_the_field(window_for, control: zmq.Socket):
    window = window_for(control=control.getsockopt_string(zmq.LAST_ENDPOINT))
    wait_for_connection(control, window._client.mask_requests)
    plain = (
        show_experiment(window, skill=0.85).panel(FieldPanel).picture.grab().toImage()
    )
    window.receive(START_S + SECONDS)
    *route, request = control.recv_multipart()
    assert json.loads(request) == {"op": "masks"}
    labels = np.zeros((1, 64, 64), "<u4")
    labels[0, 20:40, 20:40] = 1
    answer = b'{"ok": true, "sentence": "1 neuron", "masks": [1, 64, 64]}'
    control.send_multipart([*route, answer, labels.tobytes()])

    def is_outlined() -> bool:
        window.receive(START_S + SECONDS)
        window.draw(START_S + SECONDS)
        return window.panel(FieldPanel).picture.grab().toImage() != plain

    wait_until(is_outlined)


def test_the_layout_is_remembered_if_asked_for(window_for, tmp_path: Path):
    form, scope = QSettings.Format.IniFormat, QSettings.Scope.UserScope
    QSettings.setPath(form, scope, str(tmp_path))
    first = window_for(remember_layout=True)
    default = compute_upper_share(first)
    first.findChild(QSplitter, "rows").setSizes([450, 350])
    first.resize(DEFAULT_SIZE[0] - 100, DEFAULT_SIZE[1] - 100)
    assert compute_upper_share(first) < default - 0.02
    first.close()
    reopened, other = window_for(remember_layout=True), window_for()
    assert compute_upper_share(reopened) == pytest.approx(
        compute_upper_share(first), abs=0.01
    )
    assert compute_upper_share(other) == pytest.approx(default, abs=0.01)


def compute_upper_share(window: Window) -> float:
    sizes = window.findChild(QSplitter, "rows").sizes()
    return float(sizes[0] / sum(sizes))


def test_received_messages_are_drawn_and_invalid_ones_reported(
    window_for, free_address
):
    address = free_address()
    field = messages.FieldImage(
        session="s", seq=0, t=0.0, frame=0, shape=(2, 2), shift_px=(0, 0), confidence=1
    )
    with zmq.Context() as context, context.socket(zmq.PUB) as daemon:
        daemon.linger = 0
        daemon.bind(address)
        window = window_for(address)

        def is_drawn() -> bool:
            daemon.send_multipart(messages.encode_published(field, b"1234"))
            daemon.send_multipart([b"field", b"{}", b""])
            window.receive(START_S)
            window.draw(START_S)
            return window.panel(FieldPanel).picture.pixels is not None

        wait_until(is_drawn)
        wait_until(lambda: is_drawn() and bool(window.sentence.toolTip()))
    assert window.sentence.toolTip().startswith("Invalid message ignored: ")


def test_the_snapshot_shows_the_window_and_leaves_no_other_file(
    window_for, tmp_path: Path
):
    path = tmp_path / "folder" / "live.png"
    window = show_experiment(window_for(snapshot=path), skill=0.85)
    window.save_snapshot()
    picture = QImage(str(path))
    assert (picture.width(), picture.height()) == DEFAULT_SIZE
    assert [file.name for file in path.parent.iterdir()] == ["live.png"]


def test_a_snapshot_that_cannot_be_written_is_reported(window_for, tmp_path: Path):
    (tmp_path / "file").touch()
    window = window_for(snapshot=tmp_path / "file" / "live.png")
    window.save_snapshot()
    assert "cannot be written" in window.sentence.toolTip()
