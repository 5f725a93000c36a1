"""Framed TCP: the two parts of a message as bytes, for programs with plain sockets.

    "RTR1" | header length u32 | payload length u64 | header | payload     little-endian

This module knows the bytes only; `tcp_server` moves them. A server with a token sends
`make_challenge()` first and expects `make_response(token, challenge)` before messages.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct

import numpy as np

from rtrecon.protocol import messages

MAGIC = b"RTR1"
ACKNOWLEDGED = b"\x06"  # sent for each message received, and once for a right response
REJECTED = b"\x15"  # sent before the reason why the server closes the connection
MAX_IN_FLIGHT = 16  # messages that a sender may have sent without acknowledgement
CHALLENGE_BYTES = 36  # of the challenge and of the response
_CHALLENGE_MAGIC, _RESPONSE_MAGIC = b"RTRC", b"RTRA"
_PREFIX = struct.Struct("<4sIQ")

RawMessage = tuple[memoryview, memoryview]  # header, payload


class FramingError(ValueError):
    """Bytes that are not framed messages; the text says which rule they break."""


def encode_message(header: bytes, payload: bytes | memoryview) -> bytes:
    """Return the bytes of one message."""
    return _PREFIX.pack(MAGIC, len(header), len(payload)) + header + bytes(payload)


def make_challenge() -> bytes:
    """Return a challenge that is never the same twice."""
    n_random = CHALLENGE_BYTES - len(_CHALLENGE_MAGIC)
    return _CHALLENGE_MAGIC + secrets.token_bytes(n_random)


def make_response(token: bytes, challenge: bytes) -> bytes:
    """Return the response that proves knowledge of the token."""
    return _RESPONSE_MAGIC + hmac.digest(token, challenge, hashlib.sha256)


def is_valid_response(token: bytes, challenge: bytes, response: bytes) -> bool:
    """Return whether the response proves knowledge of the token."""
    return hmac.compare_digest(make_response(token, challenge), response)


class MessageParser:
    """Assembles messages from a stream of bytes.

    Write received bytes into `buffer`, then call `advance(count)`. Each part is read
    straight into its own memory of the announced length, once that length is known to
    be allowed. The memory is not touched before bytes arrive, so an announcement alone
    costs nothing.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._complete_parts: list[memoryview] = []
        self._free = self._part = _allocate(_PREFIX.size)

    @property
    def is_idle(self) -> bool:
        """Whether no message has begun."""
        return not self._complete_parts and len(self._free) == _PREFIX.size

    @property
    def buffer(self) -> memoryview:
        """Where the next bytes belong; never empty."""
        return self._free

    def advance(self, count: int) -> RawMessage | None:
        """Accept `count` bytes written into `buffer`; return a complete message.

        Returns None while the message is incomplete. Raises `FramingError`; the stream
        cannot be read any further then.
        """
        self._free = self._free[count:]
        while not self._free:  # a part may be empty
            self._complete_parts.append(self._part)
            if len(self._complete_parts) == 1:
                self._sizes = _parse_prefix(self._part)
            elif len(self._complete_parts) == 3:
                _, header, payload = self._complete_parts
                self._reset()
                return header, payload
            size = self._sizes[len(self._complete_parts) - 1]
            self._free = self._part = _allocate(size)
        return None


def _allocate(size: int) -> memoryview:
    return np.empty(size, np.uint8).data


def _parse_prefix(prefix: memoryview) -> tuple[int, int]:
    magic, header_bytes, payload_bytes = _PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise FramingError(
            f"a message begins with {bytes(magic)!r}, not with {MAGIC!r}; is the other "
            "side a sender of rtrecon?"
        )
    for part, size, max_size in (
        ("header", header_bytes, messages.MAX_HEADER_BYTES),
        ("payload", payload_bytes, messages.MAX_PAYLOAD_BYTES),
    ):
        if size > max_size:
            raise FramingError(
                f"a {part} of {size} bytes is announced, more than the {max_size} "
                "allowed"
            )
    return header_bytes, payload_bytes
