"""The framed TCP server, and a daemon that receives frames by it."""

from __future__ import annotations

import contextlib
import socket
import struct
import time

import numpy as np
import pytest
import zmq

from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import DaemonProcess
from rtrecon.testing.simulated_microscope import (
    RATE_HZ,
    SHAPE,
    make_small_frames,
)
from rtrecon.testing.tcp_sender import TIMEOUT_S, TcpSender
from rtrecon.transport import framing, sockets, tcp_connection
from rtrecon.transport.sockets import AddressError
from rtrecon.transport.tcp_server import MAX_SENDERS, TcpServer

TOKEN = b"a word that nobody guesses"
PIXELS = np.arange(6, dtype=np.int16).reshape(2, 3)

# invalid bytes -> words of the reason
INVALID = {
    "another protocol": (b"GET / HTTP/1.1\r\n\r\n", "begins with b'GET '"),
    "a header too long": (
        struct.pack("<4sIQ", b"RTR1", 1 << 17, 0),
        "header of 131072 bytes is announced, more than the 65536 allowed",
    ),
    "a payload too long": (
        struct.pack("<4sIQ", b"RTR1", 2, 1 << 62),
        "payload of 4611686018427387904 bytes is announced",
    ),
}


class ServerWithPull:
    """A server, and the PULL socket that gets its messages."""

    def __init__(self, address: str, token: bytes | None = None):
        self.address = address
        self._context = zmq.Context()
        self.server = TcpServer(self._context, address, token)
        self.pull = self._context.socket(zmq.PULL)
        self.pull.setsockopt(zmq.RCVHWM, sockets.RECEIVE_QUEUE)
        self.server.connect_pull(self.pull)

    def __enter__(self) -> ServerWithPull:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()
        self.pull.close()
        self._context.term()

    def next(self) -> list[bytes]:
        assert self.pull.poll(1000 * TIMEOUT_S), "nothing came"
        return self.pull.recv_multipart()

    def reasons(self, count: int = 1) -> list[str]:
        """Wait until `count` senders were disconnected; return the reasons."""
        deadline, notices = time.monotonic() + TIMEOUT_S, []
        while len(notices) < count:
            notices += self.server.take_notices()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return notices


@pytest.fixture
def received(free_address):
    with ServerWithPull(free_address()) as received:
        yield received


def connect(received: ServerWithPull) -> socket.socket:
    address = sockets.split_address(received.address)
    return socket.create_connection(address, TIMEOUT_S)


def read_until_closed(connection: socket.socket) -> bytes:
    """Return all bytes received until the connection is closed."""
    received_bytes = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(4096):
            received_bytes += part
    return received_bytes


def test_messages_arrive_complete_and_are_acknowledged(received):
    with TcpSender(received.address) as sender:
        sender.send_start(PIXELS.shape)
        assert isinstance(
            messages.decode_incoming(received.next())[0], messages.SessionStart
        )
        for number in range(40):
            assert sender.send_frame(PIXELS + number, number, number / 30.0)
            message, pixels = messages.decode_incoming(received.next())
            assert message.frame == number
            assert np.array_equal(pixels, PIXELS + number)
            sender.read_acknowledgements(wait=True)
    assert (received.server.n_received, received.server.n_rejected) == (41, 0)


def test_many_senders_can_connect_one_after_the_other(received):
    for _ in range(3 * MAX_SENDERS):
        with TcpSender(received.address) as one, TcpSender(received.address) as two:
            one.send_message(messages.SessionEnd(session="one", seq=0, reason=""))
            two.send_message(messages.SessionEnd(session="two", seq=0, reason=""))
            came = {
                messages.decode_incoming(received.next())[0].session for _ in range(2)
            }
            assert came == {"one", "two"}
    assert received.server.n_rejected == 0


@pytest.mark.parametrize("case", INVALID)
def test_invalid_bytes_close_one_connection_with_the_reason(received, case):
    invalid, words = INVALID[case]
    with TcpSender(received.address) as sender, connect(received) as other:
        other.sendall(invalid)
        (reason,) = received.reasons()
        assert words in reason
        assert words.encode() in read_until_closed(other)
        sender.send_frame(PIXELS, 1, 0.0)
        assert received.next()
    assert received.server.n_rejected == 1


def test_an_unfinished_message_closes_the_connection(received, monkeypatch):
    monkeypatch.setattr(tcp_connection, "MESSAGE_TIMEOUT_S", 0.3)
    with connect(received) as half:
        half.sendall(framing.encode_message(b"{}", bytes(100))[:50])
        (reason,) = received.reasons()
        assert "a message was not finished within 0.3 s" in reason
        assert b"not finished" in read_until_closed(half)


def test_a_silent_sender_stays_connected(received, monkeypatch):
    monkeypatch.setattr(tcp_connection, "MESSAGE_TIMEOUT_S", 0.1)
    with TcpSender(received.address) as sender:
        time.sleep(0.5)
        sender.send_frame(PIXELS, 1, 0.0)
        assert received.next()


def test_the_number_of_senders_is_limited(received):
    with contextlib.ExitStack() as opened:
        for _ in range(MAX_SENDERS):
            sender = opened.enter_context(TcpSender(received.address))
            sender.send_frame(PIXELS, 1, 0.0)
            received.next()
        late = opened.enter_context(connect(received))
        assert b"8 senders are connected already" in read_until_closed(late)
    with TcpSender(received.address) as sender:
        sender.send_frame(PIXELS, 1, 0.0)
        assert received.next()


def test_a_sender_drops_frames_when_nobody_reads(received):
    """It never waits, or this would not end; and what is held here is bounded."""
    pixels = np.zeros((512, 512), np.int16)
    with TcpSender(received.address) as sender:
        for number in range(400):
            sender.send_frame(pixels, number, number / 30.0)
            time.sleep(0.001)
        assert sender.n_dropped > 200
        assert not received.server.n_rejected
        numbers = []
        while sender.n_in_flight or received.pull.poll(200):
            numbers.append(messages.decode_incoming(received.next())[0].seq)
            sender.read_acknowledgements(wait=False)
    assert numbers == list(range(sender.n_sent))
    assert sender.n_sent < sockets.RECEIVE_QUEUE + 4 * framing.MAX_IN_FLIGHT


def test_a_token_is_required_and_a_wrong_one_is_refused(free_address):
    with ServerWithPull(free_address(), TOKEN) as received:
        with TcpSender(received.address, TOKEN) as sender:
            sender.send_frame(PIXELS, 1, 0.0)
            assert received.next()
        with connect(received) as stranger:
            stranger.sendall(
                framing.make_response(b"a word that is wrong", stranger.recv(36))
            )
            assert b"it does not know the token" in read_until_closed(stranger)
        with connect(received) as unaware:  # does not know that a token is needed
            header, payload = messages.encode_incoming(
                messages.SessionEnd(session="s", seq=0, reason="")
            )
            unaware.sendall(framing.encode_message(header, payload))
            assert b"it does not know the token" in read_until_closed(unaware)
        assert not received.pull.poll(200)
        assert received.server.n_rejected == 2


def test_a_sender_that_sends_no_response_is_disconnected(free_address, monkeypatch):
    monkeypatch.setattr(tcp_connection, "RESPONSE_TIMEOUT_S", 0.3)
    with ServerWithPull(free_address(), TOKEN) as received, connect(received) as silent:
        assert b"it did not prove the token within 0.3 s" in read_until_closed(silent)


def test_a_response_cannot_be_used_again(free_address):
    with ServerWithPull(free_address(), TOKEN) as received:
        with TcpSender(received.address, TOKEN) as sender:
            response = framing.make_response(TOKEN, sender.challenge)
        with connect(received) as second:
            second.sendall(response)
            assert b"it does not know the token" in read_until_closed(second)


def test_a_network_address_without_a_token_is_refused():
    with zmq.Context() as context:
        with pytest.raises(AddressError, match="without a token; make one with 'rtrec"):
            TcpServer(context, "tcp://0.0.0.0:5561")
        with pytest.raises(AddressError, match="write it like"):
            TcpServer(context, "localhost")


def test_a_port_in_use_is_reported(received):
    with zmq.Context() as context, pytest.raises(AddressError, match="is in use"):
        TcpServer(context, received.address)


# -- a daemon --------------------------------------------------------------------------


def scan(sender: TcpSender, numbers: range) -> None:
    frames = make_small_frames()
    for number in numbers:
        sender.read_acknowledgements(wait=True)
        pixels = frames[number % len(frames)]
        assert sender.send_frame(pixels, number, (number - 1) / RATE_HZ)


def test_a_sender_that_reconnects_continues_its_session(small_daemon):
    daemon = small_daemon
    address = daemon.settings.network.tcp
    with TcpSender(address) as sender:
        sender.send_start(SHAPE)
        scan(sender, range(1, 41))
        sender.read_acknowledgements(wait=True)
    with TcpSender(address, session=sender.session) as again:
        again.seq = sender.seq
        scan(again, range(41, 81))
        again.read_acknowledgements(wait=True)
        daemon.wait_until(lambda: daemon.newest_health().session == sender.session)
        daemon.wait_until(lambda: daemon.newest_health().frames_processed == 80)
    health = daemon.newest_health()
    assert (health.rejected_messages, health.gaps) == (0, messages.GapCounts())
    daemon.wait_until(lambda: numbers(daemon, sender) == list(range(1, 81)))


def numbers(daemon: DaemonProcess, sender: TcpSender) -> list[float]:
    """Which frames are recorded, in one recording."""
    (record,) = daemon.recordings(sender.session)
    return record.frames["frame"].tolist()


def test_the_daemon_reports_disconnected_senders(small_daemon):
    daemon = small_daemon
    address = sockets.split_address(daemon.settings.network.tcp)
    with socket.create_connection(address, TIMEOUT_S) as other:
        other.sendall(b"GET / HTTP/1.1\r\n\r\n")
        daemon.wait_until(
            lambda: any("GET" in e.message for e in daemon.events_named("refused"))
        )
