"""`rtrecon check --listen`: what a user reads while a sender is set up."""

from __future__ import annotations

import json
import re
import threading
import time

import numpy as np
import pytest
import zmq

from rtrecon import config
from rtrecon.cli import terminal
from rtrecon.core.errors import UserError
from rtrecon.diagnostics.listen import report_incoming
from rtrecon.diagnostics.z_stack import StackPlan, take_stack
from rtrecon.protocol import messages
from rtrecon.sources.reference_stack import read_stack
from rtrecon.testing.daemon_process import make_settings, run_command
from rtrecon.testing.tcp_sender import TcpSender
from rtrecon.transport import keys, sockets
from rtrecon.transport.senders import AuxiliarySender, SessionSender

SHAPE = (6, 8)
PIXELS = np.zeros(SHAPE, np.int16)
LONG_S = 60.0  # at most; every test ends as soon as it has read enough


class Report:
    """The lines of the report, read until a pattern appears."""

    def __init__(self, wire_settings: config.NetworkSettings) -> None:
        self.lines_read: list[str] = []
        self._lines = report_incoming(wire_settings, LONG_S)
        self.until("listening at")

    def until(self, pattern: str) -> str:
        for line in self._lines:
            self.lines_read.append(line)
            if re.search(pattern, line):
                return line
        raise AssertionError(f"{pattern!r} was not reported: {self.lines_read}")

    def close(self) -> None:
        self._lines.close()


@pytest.fixture
def wire_settings(tmp_path):
    return make_settings(tmp_path).network


@pytest.fixture
def report(wire_settings):
    report = Report(wire_settings)
    yield report
    report.close()


class Sending:
    """A thread that sends frames until it is left."""

    def __init__(self, send) -> None:
        self._send = send
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._left.is_set():
            number += 1
            self._send(number)
            time.sleep(0.02)


def test_a_stack_is_taken_from_live_frames(wire_settings, tmp_path):
    plan, out = StackPlan(n_planes=3, n_frames=2, step_um=2.0), tmp_path / "stack.tif"
    notices = take_stack(wire_settings, plan, out, LONG_S)
    assert "listening at" in next(notices)
    start = {"source": "scope", "rate_hz": 30.0, "shape": (16, 16)}
    sender = SessionSender(wire_settings.frames, **start)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 1000, (6, 16, 16)).astype(np.int16)
    with Sending(lambda k: sender.send_frame(pixels[k % 6], k, k / 30.0)):
        received = list(notices)
    sender.close()
    assert "3 planes, 2 um apart, are written to" in received[-1]
    planes, step_um = read_stack(out)
    assert (planes.shape, step_um) == ((3, 16, 16), 2.0)


def test_a_stack_without_a_sender_is_not_written(wire_settings, tmp_path):
    plan = StackPlan(n_planes=3, n_frames=2, step_um=2.0)
    with pytest.raises(UserError, match=r"nothing arrived for 0\.1 s, after 0 of 3"):
        list(take_stack(wire_settings, plan, tmp_path / "stack.tif", 0.1))
    assert not (tmp_path / "stack.tif").exists()


def test_missing_senders_are_reported(report):
    assert "is the sender on, and is this its address?" in report.until("nothing yet")


def test_a_zeromq_sender_is_described_with_its_losses(report, wire_settings):
    start = {"source": "scope", "rate_hz": 30.0, "shape": SHAPE}
    sender = SessionSender(wire_settings.frames, **start)

    def send(number: int) -> None:
        sender.send_frame(PIXELS, number + 5 * (number > 80), number / 30.0)

    with Sending(send):
        session = report.until(r"session \S+ from")
        assert session == (
            f"ZeroMQ: session {sender.session} from scope: 6 x 8 int16 at 30 Hz, "
            "channels [1], 1 planes"
        )
        report.until("frames per second")
        summary = report.until("lost: 5 before the sender")
    sender.close()
    assert re.search(r"ZeroMQ: [\d.]+ frames per second, 1 start, ", summary)
    assert re.search(r"[\d.]+ ms after sending, at most [\d.]+$", summary)


def test_a_tcp_sender_is_described(report, wire_settings):
    with TcpSender(wire_settings.tcp) as sender:
        sender.send_start(SHAPE)

        def send(number: int) -> None:
            sender.send_frame(PIXELS, number, number / 30.0)

        with Sending(send):
            report.until(
                f"framed TCP: session {sender.session} from framed: 6 x 8 int16"
            )
            report.until(r"framed TCP: [\d.]+ frames per second, .* none lost")
        sender.send_message(
            messages.SessionEnd(session=sender.session, seq=sender.seq, reason="enough")
        )
        report.until("the sender ended: enough")


def test_the_clock_of_another_sender_is_compared_with_the_microscopes(
    report, wire_settings
):
    start = {"source": "scope", "rate_hz": 30.0, "shape": SHAPE}
    scope = SessionSender(wire_settings.frames, **start)
    camera = AuxiliarySender(wire_settings.frames)

    def send(number: int) -> None:
        scope.send_frame(PIXELS, number, number / 30.0)
        t_send = time.time() + 12.3
        camera.send(messages.BehaviorSample, t_send=t_send, pupil_dilation=1.0)

    with Sending(send):
        report.until(
            "clocks, compared with the microscope's computer: "
            "behavior clock 12.3 s ahead"
        )
    scope.close()
    camera.close()


def test_invalid_messages_are_reported(report, wire_settings):
    with zmq.Context() as context:
        socket = sockets.connect_socket(context, zmq.PUSH, wire_settings.frames)
        assert socket.poll(5000, zmq.POLLOUT)
        socket.send_multipart([b"no JSON", b""])
        report.until("ZeroMQ: refused: header does not parse")
        frame = messages.Frame(
            session="s", seq=0, frame=1, t=0.0, t_send=0.0, shape=SHAPE
        )
        socket.send_multipart(messages.encode_incoming(frame, PIXELS))
        report.until("ZeroMQ: refused: frames of a session that has not started")
        socket.close()


def test_clients_with_unknown_keys_are_reported(tmp_path, wire_settings):
    keys.make_keys(tmp_path / "keys")
    keys.make_keys(tmp_path / "other")
    report = Report(wire_settings.model_copy(update={"keys": tmp_path / "keys"}))
    own, other = (keys.read_client_keys(tmp_path / name) for name in ("keys", "other"))
    stranger = keys.ClientKeys(own.server, other.public, other.secret)
    with zmq.Context() as context:
        socket = sockets.connect_socket(
            context, zmq.PUSH, wire_settings.frames, stranger
        )
        report.until("unknown key, .* was rejected")
        socket.close(linger=0)
    report.close()


def test_text_of_a_sender_cannot_control_the_terminal(capsys):
    terminal.notify("session from \x1b[2J\x1b]0;owned\x07 µm")
    assert "session from ?[2J?]0;owned? µm" in capsys.readouterr().out


def test_the_check_command_listens_for_the_given_time(tmp_path):
    file = tmp_path / "rig.json"
    file.write_text(config.dump(make_settings(tmp_path)), encoding="utf-8")
    done = run_command("check", file, "1.5", "--listen")
    assert (done.returncode, done.stderr) == (0, "")
    wire_ = json.loads(file.read_text())["network"]
    assert f"listening at {wire_['frames']} and, framed TCP, {wire_['tcp']}" in (
        done.stdout
    )
    assert "nothing yet" in done.stdout
