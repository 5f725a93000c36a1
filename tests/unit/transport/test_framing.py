"""Framed TCP: the bytes of messages, and the proof of the token."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrecon.transport import framing
from rtrecon.transport.framing import FramingError, MessageParser

TOKEN = b"a word that nobody guesses"

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

parts = st.tuples(st.binary(max_size=40), st.binary(max_size=200))


def parse(stream: bytes, cuts: list[int]) -> list[tuple[bytes, bytes]]:
    """Parse the stream in pieces; return its messages."""
    parser, messages, remaining = MessageParser(), [], memoryview(stream)
    for size in [*cuts, len(stream)]:
        piece, remaining = remaining[:size], remaining[size:]
        while piece:
            count = min(len(piece), len(parser.buffer))
            parser.buffer[:count] = piece[:count]
            message = parser.advance(count)
            piece = piece[count:]
            if message:
                messages.append((bytes(message[0]), bytes(message[1])))
    assert parser.is_idle
    return messages


def test_message_bytes_follow_the_protocol():
    encoded = framing.encode_message(b"{}", b"\x01\x02\x03")
    assert encoded == b"RTR1\x02\0\0\0\x03\0\0\0\0\0\0\0{}\x01\x02\x03"


@settings(deadline=None, max_examples=40)
@given(st.lists(parts, max_size=6), st.lists(st.integers(1, 60), max_size=30))
def test_messages_are_assembled_from_any_pieces(sent, cuts):
    stream = b"".join(framing.encode_message(*message) for message in sent)
    assert parse(stream, cuts) == sent


@pytest.mark.parametrize("case", INVALID)
def test_invalid_bytes_are_refused_before_memory_is_allocated(case):
    invalid, words = INVALID[case]
    with pytest.raises(FramingError, match=words):
        parse(invalid, [])


def test_only_the_right_token_gives_a_valid_response():
    challenge = framing.make_challenge()
    response = framing.make_response(TOKEN, challenge)
    assert len(challenge) == len(response) == framing.CHALLENGE_BYTES
    assert framing.is_valid_response(TOKEN, challenge, response)
    assert not framing.is_valid_response(TOKEN, framing.make_challenge(), response)
    assert not framing.is_valid_response(
        TOKEN, challenge, framing.make_response(b"another", challenge)
    )
