"""A replay reports whether the daemon takes its session, or that this is not known."""

from __future__ import annotations

import json
import socket
import uuid
from pathlib import Path

import pytest
import zmq

from rtrecon.replay.client import ReplayError, require_accepted
from rtrecon.replay.recording import replay_recording
from rtrecon.testing.daemon_process import DaemonProcess
from rtrecon.testing.frame_receiver import FrameReceiver
from rtrecon.testing.scanimage_file import make_pages, write_scanimage
from rtrecon.testing.simulated_microscope import make_small_settings


def _find_closed_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def _replay(tmp_path: Path, address: str, control: str | None) -> list[str]:
    notices: list[str] = []
    path = write_scanimage(tmp_path / "a.tif", make_pages(5))
    with FrameReceiver(address):
        replay_recording(
            path, address, speed=None, control=control, notify=notices.append
        )
    return notices


def test_a_replay_reports_that_it_asks_nobody(tmp_path, free_address):
    address = free_address()
    (notice,) = _replay(tmp_path, address, None)
    assert address in notice
    assert "--control" in notice


def test_a_replay_reports_that_nobody_answers(tmp_path, free_address):
    control = _find_closed_address()
    (notice,) = _replay(tmp_path, free_address(), control)
    assert control in notice
    assert "--control" in notice


def test_a_sender_learns_that_its_start_cannot_be_decoded(tmp_path):
    settings, session = make_small_settings(tmp_path), str(uuid.uuid4())
    network = settings.network
    header = {"v": 1, "type": "start", "session": session, "seq": 0, "rate_hz": "x"}
    with DaemonProcess(tmp_path, settings), zmq.Context() as context:
        push = context.socket(zmq.PUSH)
        push.connect(network.frames)
        push.send_multipart([json.dumps(header).encode(), b""])
        with pytest.raises(ReplayError, match=r"refuses the session: .*rate_hz"):
            require_accepted(network.frames, network.control, session, None)
        push.close(linger=0)
