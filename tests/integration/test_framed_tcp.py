"""Framed TCP: its bytes, its door, and a daemon behind it."""

from __future__ import annotations

import contextlib
import socket
import struct
import time

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import (
    RATE_HZ,
    SHAPE,
    Daemon,
    small_frames,
    small_settings,
)
from rtrecon.testing.framed_sender import TIMEOUT_S, FramedSender
from rtrecon.transport import framed, sockets, tcp_door
from rtrecon.transport.framed import FramingError, Reader
from rtrecon.transport.sockets import AddressError
from rtrecon.transport.tcp_door import MAX_SENDERS, TcpDoor

TOKEN = b"a word that nobody guesses"
PIXELS = np.arange(6, dtype=np.int16).reshape(2, 3)

# what comes instead of a message -> words of the reason for which it is cut off
RUBBISH = {
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

parts = st.tuples(st.binary(max_size=40), st.binary(max_size=200))


# -- bytes -----------------------------------------------------------------------------


def read(stream: bytes, cuts: list[int]) -> list[tuple[bytes, bytes]]:
    """Let a reader have the stream in pieces; return the messages in it."""
    reader, messages, left = Reader(), [], memoryview(stream)
    for size in [*cuts, len(stream)]:
        piece, left = left[:size], left[size:]
        while piece:
            count = min(len(piece), len(reader.room))
            reader.room[:count] = piece[:count]
            message = reader.filled(count)
            piece = piece[count:]
            if message:
                messages.append((bytes(message[0]), bytes(message[1])))
    assert reader.is_between
    return messages


def test_the_bytes_are_those_of_the_contract():
    made = framed.encode(b"{}", b"\x01\x02\x03")
    assert made == b"RTR1\x02\0\0\0\x03\0\0\0\0\0\0\0{}\x01\x02\x03"


@given(st.lists(parts, max_size=6), st.lists(st.integers(1, 60), max_size=30))
def test_messages_are_whole_however_the_bytes_come(sent, cuts):
    stream = b"".join(framed.encode(*message) for message in sent)
    assert read(stream, cuts) == sent


@pytest.mark.parametrize("case", RUBBISH)
def test_what_is_no_message_is_refused_before_memory_is_taken(case):
    rubbish, words = RUBBISH[case]
    with pytest.raises(FramingError, match=words):
        read(rubbish, [])


def test_only_who_knows_the_token_can_answer():
    asked = framed.challenge()
    answered = framed.answer(TOKEN, asked)
    assert len(asked) == len(answered) == framed.ANSWER_BYTES
    assert framed.is_right(TOKEN, asked, answered)
    assert not framed.is_right(TOKEN, framed.challenge(), answered)
    assert not framed.is_right(TOKEN, asked, framed.answer(b"another", asked))


# -- the door --------------------------------------------------------------------------


class Behind:
    """An open door, and the socket that has what came through it."""

    def __init__(self, address: str, token: bytes | None = None):
        self.address = address
        self._context = zmq.Context()
        self.door = TcpDoor(self._context, address, token)
        self.pull = self._context.socket(zmq.PULL)
        self.pull.setsockopt(zmq.RCVHWM, sockets.RECEIVE_HWM)
        self.door.connect(self.pull)

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, *_: object) -> None:
        self.door.close()
        self.pull.close()
        self._context.term()

    def next(self) -> list[bytes]:
        assert self.pull.poll(1000 * TIMEOUT_S), "nothing came"
        return self.pull.recv_multipart()

    def reasons(self, count: int = 1) -> list[str]:
        """Wait until so many were cut off; return why."""
        deadline, told = time.monotonic() + TIMEOUT_S, []
        while len(told) < count:
            told += self.door.sentences()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return told


@pytest.fixture
def behind(free_address):
    with Behind(free_address()) as behind:
        yield behind


def raw(behind: Behind) -> socket.socket:
    address = sockets.host_and_port(behind.address)
    return socket.create_connection(address, TIMEOUT_S)


def said_to(connection: socket.socket) -> bytes:
    """Return all that is said until the connection is closed or cut."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(4096):
            said += part
    return said


def test_messages_come_out_whole_and_each_is_thanked_for(behind):
    with FramedSender(behind.address) as sender:
        sender.start(PIXELS.shape)
        assert isinstance(messages.decode(behind.next())[0], messages.Start)
        for number in range(40):
            assert sender.frame(PIXELS + number, number, number / 30.0)
            message, pixels = messages.decode(behind.next())
            assert message.frame == number
            assert np.array_equal(pixels, PIXELS + number)
            sender.thanked(wait=True)
    assert (behind.door.taken, behind.door.refused) == (41, 0)


def test_senders_take_turns_and_come_again(behind):
    for _ in range(3 * MAX_SENDERS):
        with FramedSender(behind.address) as one, FramedSender(behind.address) as two:
            one.say(messages.End(session="one", seq=0, reason=""))
            two.say(messages.End(session="two", seq=0, reason=""))
            came = {messages.decode(behind.next())[0].session for _ in range(2)}
            assert came == {"one", "two"}
    assert behind.door.refused == 0


@pytest.mark.parametrize("case", RUBBISH)
def test_rubbish_is_cut_off_with_the_reason_and_others_go_on(behind, case):
    rubbish, words = RUBBISH[case]
    with FramedSender(behind.address) as sender, raw(behind) as other:
        other.sendall(rubbish)
        (reason,) = behind.reasons()
        assert words in reason
        assert words.encode() in said_to(other)
        sender.frame(PIXELS, 1, 0.0)
        assert behind.next()
    assert behind.door.refused == 1


def test_a_message_never_finished_costs_its_sender_the_connection(behind, monkeypatch):
    monkeypatch.setattr(tcp_door, "UNFINISHED_S", 0.3)
    with raw(behind) as half:
        half.sendall(framed.encode(b"{}", bytes(100))[:50])
        (reason,) = behind.reasons()
        assert "a message was not finished within 0.3 s" in reason
        assert b"not finished" in said_to(half)


def test_a_sender_that_says_nothing_stays(behind, monkeypatch):
    monkeypatch.setattr(tcp_door, "UNFINISHED_S", 0.1)
    with FramedSender(behind.address) as sender:
        time.sleep(0.5)
        sender.frame(PIXELS, 1, 0.0)
        assert behind.next()


def test_there_are_only_so_many_senders(behind):
    with contextlib.ExitStack() as opened:
        for _ in range(MAX_SENDERS):
            sender = opened.enter_context(FramedSender(behind.address))
            sender.frame(PIXELS, 1, 0.0)
            behind.next()
        late = opened.enter_context(raw(behind))
        assert b"8 senders are connected already" in said_to(late)
    with FramedSender(behind.address) as sender:
        sender.frame(PIXELS, 1, 0.0)
        assert behind.next()


def test_where_nobody_takes_messages_a_sender_loses_at_the_source(behind):
    """It never waits, and what is held here is bounded."""
    pixels = np.zeros((512, 512), np.int16)
    longest_s = 0.0
    with FramedSender(behind.address) as sender:
        for number in range(400):
            began_s = time.monotonic()
            sender.frame(pixels, number, number / 30.0)
            longest_s = max(longest_s, time.monotonic() - began_s)
            time.sleep(0.001)
        assert sender.dropped > 200
        assert not behind.door.refused
        numbers = []
        while sender.under_way or behind.pull.poll(200):
            numbers.append(messages.decode(behind.next())[0].seq)
            sender.thanked(wait=False)
    assert numbers == list(range(sender.sent))
    assert sender.sent < sockets.RECEIVE_HWM + 4 * framed.WINDOW
    assert longest_s < 5.0


def test_a_token_is_asked_for_and_a_wrong_one_refused(free_address):
    with Behind(free_address(), TOKEN) as behind:
        with FramedSender(behind.address, TOKEN) as sender:
            sender.frame(PIXELS, 1, 0.0)
            assert behind.next()
        with raw(behind) as stranger:
            stranger.sendall(framed.answer(b"a word that is wrong", stranger.recv(36)))
            assert b"it does not know the token" in said_to(stranger)
        with raw(behind) as naive:  # who was not told that there is one
            header, payload = messages.encode(
                messages.End(session="s", seq=0, reason="")
            )
            naive.sendall(framed.encode(header, payload))
            assert b"it does not know the token" in said_to(naive)
        assert not behind.pull.poll(200)
        assert behind.door.refused == 2


def test_silence_is_no_answer(free_address, monkeypatch):
    monkeypatch.setattr(tcp_door, "ANSWER_S", 0.3)
    with Behind(free_address(), TOKEN) as behind, raw(behind) as silent:
        assert b"it did not say the token within 0.3 s" in said_to(silent)


def test_an_answer_cannot_be_used_again(free_address):
    with Behind(free_address(), TOKEN) as behind:
        with FramedSender(behind.address, TOKEN) as sender:
            overheard = framed.answer(TOKEN, sender.asked)
        with raw(behind) as thief:
            thief.sendall(overheard)
            assert b"it does not know the token" in said_to(thief)


def test_other_machines_are_not_listened_to_without_a_token():
    with zmq.Context() as context:
        with pytest.raises(AddressError, match="without a token; make one with 'rtrec"):
            TcpDoor(context, "tcp://0.0.0.0:5561")
        with pytest.raises(AddressError, match="write it like"):
            TcpDoor(context, "localhost")


def test_a_port_in_use_is_said(behind):
    with zmq.Context() as context, pytest.raises(AddressError, match="is in use"):
        TcpDoor(context, behind.address)


# -- a daemon --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    folder = tmp_path_factory.mktemp("framed")
    with Daemon(folder, small_settings(folder)) as daemon:
        yield daemon


def scan(sender: FramedSender, numbers: range) -> None:
    frames = small_frames()
    for number in numbers:
        sender.thanked(wait=True)
        pixels = frames[number % len(frames)]
        assert sender.frame(pixels, number, (number - 1) / RATE_HZ)


def test_a_daemon_takes_frames_by_tcp_and_a_reconnect_goes_on_with_the_session(daemon):
    address = daemon.settings.wire.tcp
    with FramedSender(address) as sender:
        sender.start(SHAPE)
        scan(sender, range(1, 41))
        sender.thanked(wait=True)
    with FramedSender(address, session=sender.session) as again:
        again.seq = sender.seq
        scan(again, range(41, 81))
        again.thanked(wait=True)
        daemon.until(lambda: daemon.health().session == sender.session)
        daemon.until(lambda: daemon.health().frames_processed == 80)
    health = daemon.health()
    assert (health.rejected, health.gaps) == (0, messages.Gaps())
    daemon.until(lambda: numbers(daemon, sender) == list(range(1, 81)))


def numbers(daemon: Daemon, sender: FramedSender) -> list[float]:
    """Which frames are recorded, in one recording."""
    (record,) = daemon.records(sender.session)
    return record.frames["frame"].tolist()


def test_a_daemon_says_who_was_cut_off(daemon):
    address = sockets.host_and_port(daemon.settings.wire.tcp)
    with socket.create_connection(address, TIMEOUT_S) as other:
        other.sendall(b"GET / HTTP/1.1\r\n\r\n")
        daemon.until(lambda: any("GET" in e.message for e in daemon.events("refused")))
