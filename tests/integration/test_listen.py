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
from rtrecon.diagnostics.listen import listen
from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import rtrecon, settings_in
from rtrecon.testing.framed_sender import FramedSender
from rtrecon.transport import keys, sockets
from rtrecon.transport.sender import Sender

SHAPE = (6, 8)
PIXELS = np.zeros(SHAPE, np.int16)
LONG_S = 60.0  # at most; every test ends as soon as it has read enough


class Told:
    """What is said while a thread sends: read until the words come."""

    def __init__(self, wire_settings: config.WireSettings) -> None:
        self.words: list[str] = []
        self._lines = listen(wire_settings, LONG_S)
        self.until("listening at")

    def until(self, pattern: str) -> str:
        for line in self._lines:
            self.words.append(line)
            if re.search(pattern, line):
                return line
        raise AssertionError(f"{pattern!r} was not said: {self.words}")

    def close(self) -> None:
        self._lines.close()


@pytest.fixture
def wire_settings(tmp_path):
    return settings_in(tmp_path).wire


@pytest.fixture
def told(wire_settings):
    told = Told(wire_settings)
    yield told
    told.close()


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


def test_silence_is_said(told):
    assert "is the sender on, and is this its address?" in told.until("nothing yet")


def test_a_sender_by_zeromq_is_described_and_its_losses_counted(told, wire_settings):
    start = {"source": "scope", "rate_hz": 30.0, "shape": SHAPE}
    sender = Sender(wire_settings.frames, **start)

    def send(number: int) -> None:
        sender.frame(PIXELS, number + 5 * (number > 80), number / 30.0)

    with Sending(send):
        session = told.until(r"session \S+ from")
        assert session == (
            f"ZeroMQ: session {sender.session} from scope: 6 x 8 int16 at 30 Hz, "
            "channels [1], 1 planes"
        )
        told.until("frames per second")
        summary = told.until("lost: 5 before the sender")
    sender.close()
    assert re.search(r"ZeroMQ: [\d.]+ frames per second, 1 start, ", summary)
    assert re.search(r"[\d.]+ ms from sending, at worst [\d.]+$", summary)


def test_a_sender_by_tcp_is_described_too(told, wire_settings):
    with FramedSender(wire_settings.tcp) as sender:
        sender.start(SHAPE)

        def send(number: int) -> None:
            sender.frame(PIXELS, number, number / 30.0)

        with Sending(send):
            told.until(f"framed TCP: session {sender.session} from framed: 6 x 8 int16")
            told.until(r"framed TCP: [\d.]+ frames per second, .* none lost")
        sender.say(
            messages.End(session=sender.session, seq=sender.seq, reason="enough")
        )
        told.until("the sender ended: enough")


def test_what_does_not_keep_to_the_contract_is_said(told, wire_settings):
    with zmq.Context() as context:
        socket = sockets.connect(context, zmq.PUSH, wire_settings.frames)
        assert socket.poll(5000, zmq.POLLOUT)
        socket.send_multipart([b"no JSON", b""])
        told.until("ZeroMQ: refused: header does not parse")
        frame = messages.Frame(
            session="s", seq=0, frame=1, t=0.0, t_send=0.0, shape=SHAPE
        )
        socket.send_multipart(messages.encode(frame, PIXELS))
        told.until("ZeroMQ: refused: frames of a session that has not started")
        socket.close()


def test_with_keys_who_is_unknown_is_said(tmp_path, wire_settings):
    keys.make_keys(tmp_path / "keys")
    keys.make_keys(tmp_path / "other")
    told = Told(wire_settings.model_copy(update={"keys": str(tmp_path / "keys")}))
    own, other = (keys.client_keys(tmp_path / name) for name in ("keys", "other"))
    stranger = keys.ClientKeys(own.server, other.public, other.secret)
    with zmq.Context() as context:
        socket = sockets.connect(context, zmq.PUSH, wire_settings.frames, stranger)
        told.until("unknown key, .* was not let in")
        socket.close(linger=0)
    told.close()


def test_words_of_a_sender_cannot_steer_the_terminal(capsys):
    terminal.say("session from \x1b[2J\x1b]0;owned\x07 µm")
    assert "session from ?[2J?]0;owned? µm" in capsys.readouterr().out


def test_the_command_listens_as_long_as_it_is_told(tmp_path):
    file = tmp_path / "rig.json"
    file.write_text(config.dump(settings_in(tmp_path)), encoding="utf-8")
    done = rtrecon("check", file, "1.5", "--listen")
    assert (done.returncode, done.stderr) == (0, "")
    wire_ = json.loads(file.read_text())["wire"]
    assert f"listening at {wire_['frames']} and, framed TCP, {wire_['tcp']}" in (
        done.stdout
    )
    assert "nothing yet" in done.stdout
