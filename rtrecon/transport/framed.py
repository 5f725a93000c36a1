"""Framed TCP: the same two parts as over ZeroMQ, for programs that know only sockets.

    "RTR1" | header length u32 | payload length u64 | header | payload     little-endian

The bytes alone, without sockets: `tcp_door` moves them. Where a token is asked for, the
door sends `challenge()` first and wants `answer(token, challenge)` before any message.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct

import numpy as np

from rtrecon.protocol import messages

MAGIC = b"RTR1"
TAKEN = b"\x06"  # sent for each message taken in, and once for a right answer
REFUSED = b"\x15"  # sent before the sentence that says why the door closes
WINDOW = 16  # messages that a sender may have under way without one taken in
ANSWER_BYTES = 36
_ASKS, _ANSWERS = b"RTRC", b"RTRA"
_PREFIX = struct.Struct("<4sIQ")

Message = tuple[memoryview, memoryview]  # header, payload


class FramingError(ValueError):
    """Bytes that are no framed messages; its text says which rule they break."""


def encode(header: bytes, payload: bytes | memoryview) -> bytes:
    """Return one message as it goes over TCP."""
    return _PREFIX.pack(MAGIC, len(header), len(payload)) + header + bytes(payload)


def challenge() -> bytes:
    """Return what a door asks: never the same twice."""
    return _ASKS + secrets.token_bytes(ANSWER_BYTES - len(_ASKS))


def answer(token: bytes, asked: bytes) -> bytes:
    """Return what somebody who knows the token answers."""
    return _ANSWERS + hmac.digest(token, asked, hashlib.sha256)


def is_right(token: bytes, asked: bytes, answered: bytes) -> bool:
    """Tell whether the answer is that of somebody who knows the token."""
    return hmac.compare_digest(answer(token, asked), answered)


class Reader:
    """Puts messages together from whatever pieces the bytes come in.

    Fill `room` with what has come and say `filled(count)`. Each part is read straight
    into memory of its own, of the length announced, if that is in order. None of it is
    touched before bytes come, so that an announcement alone costs nothing.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._whole: list[memoryview] = []
        self._room = self._part = _memory(_PREFIX.size)

    @property
    def is_between(self) -> bool:
        """True where no message has been begun."""
        return not self._whole and len(self._room) == _PREFIX.size

    @property
    def room(self) -> memoryview:
        """Where the next bytes belong; never empty."""
        return self._room

    def filled(self, count: int) -> Message | None:
        """Take note of `count` bytes put into `room`; return a message that is whole.

        Raises `FramingError`, and then the stream cannot be followed any more.
        """
        self._room = self._room[count:]
        while not self._room:  # a part may be empty
            self._whole.append(self._part)
            if len(self._whole) == 1:
                self._sizes = _announced(self._part)
            elif len(self._whole) == 3:
                _, header, payload = self._whole
                self._begin()
                return header, payload
            self._room = self._part = _memory(self._sizes[len(self._whole) - 1])
        return None


def _memory(size: int) -> memoryview:
    return np.empty(size, np.uint8).data


def _announced(prefix: memoryview) -> tuple[int, int]:
    magic, header_bytes, payload_bytes = _PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise FramingError(
            f"a message begins with {bytes(magic)!r}, not with {MAGIC!r}; is the other "
            "side a sender of rtrecon?"
        )
    for part, size, most in (
        ("header", header_bytes, messages.MAX_HEADER_BYTES),
        ("payload", payload_bytes, messages.MAX_PAYLOAD_BYTES),
    ):
        if size > most:
            raise FramingError(
                f"a {part} of {size} bytes is announced, more than the {most} allowed"
            )
    return header_bytes, payload_bytes
