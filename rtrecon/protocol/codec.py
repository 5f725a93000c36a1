"""Messages to bytes and back: JSON headers, raw payloads; the only file that knows.

`bridge/README.md` describes the same format for people who write senders. Everything
received is decoded into a frozen struct, or refused with a `WireError` that says why.
Nothing received is unpickled, evaluated or used as a path.
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec
import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.dish_messages import DishBodies, DishContacts, DishTrace
from rtrecon.protocol.foreign_messages import describe_foreign_message
from rtrecon.protocol.incoming import (
    Frame,
    IncomingMessage,
    SessionStart,
    StimulusFrame,
)
from rtrecon.protocol.published import (
    Activity,
    AlignedStimulus,
    FieldImage,
    Movie,
    PublishedMessage,
    Quality,
    Spread,
)

MAX_HEADER_BYTES = 64 * 1024
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
UNIT_ID_DTYPE = "<i8"  # of the ids of units, in the payload of a start message

_PAYLOAD_DTYPES: dict[type, str] = {
    FieldImage: "uint8",
    Movie: "uint8",
    AlignedStimulus: "uint8",
    Quality: "float32",
    Spread: "uint8",
    DishBodies: "float32",
    DishContacts: "float32",
    DishTrace: "uint16",
}

_encoder = msgspec.json.Encoder()
_incoming_decoder = msgspec.json.Decoder(IncomingMessage)
_published_decoder = msgspec.json.Decoder(PublishedMessage)


class WireError(ValueError):
    """A message that breaks the protocol; its text says how."""


# Also in malformed JSON.
_FRAME_TYPE = re.compile(rb'"type"\s*:\s*"frame"')
_SESSION = re.compile(rb'"session"\s*:\s*"([^"]*)"')


def encode_incoming(
    message: IncomingMessage, payload: bytes | memoryview | Array = b""
) -> list[Any]:
    """Return the two parts [header, payload] to send to the daemon."""
    return [_encoder.encode(message), _payload_bytes(payload)]


def decode_incoming(parts: list[Any]) -> tuple[IncomingMessage, Array]:
    """Decode two parts from a sender.

    Returns the header and the payload as a read-only array, a view of the received
    bytes, of the shape and dtype that the header gives. Raises `WireError`.
    """
    try:
        header, payload = _split_parts(parts)
        message = _decode_header(_incoming_decoder, header)
    except WireError as error:
        foreign = describe_foreign_message(parts)
        raise WireError(f"{error}: {foreign}" if foreign else str(error)) from None
    if isinstance(message, SessionStart):
        _payload_size(message.shape, message.dtype)
        _check_channels(message.channels)
        if message.has_unit_rates:
            return message, _decode_unit_ids(message, payload)
    if isinstance(message, Frame):
        return message, _decode_payload(payload, message.shape, message.dtype)
    if isinstance(message, StimulusFrame) and len(payload):
        if message.shape is None:
            raise WireError("stimulus message carries pixels but no 'shape'")
        return message, _decode_payload(payload, message.shape, message.dtype)
    if len(payload):
        raise WireError(
            f"{message_type(message)} message carries {len(payload)} bytes of payload, "
            "expected none"
        )
    return message, np.empty(0, np.uint8)


def _check_channels(channels: list[int]) -> None:
    """Raise `WireError` unless the start names at least one channel, and each once."""
    if not channels or len(set(channels)) < len(channels) or min(channels) < 1:
        raise WireError(
            f"the start names the channels {channels}; name each channel that will be "
            "sent once, counted from 1"
        )


def find_frame_session(parts: list[Any]) -> str | None:
    """Return the session that the header of an undecodable frame names.

    "" where it names none; None where the header does not call it a frame.
    """
    header = bytes(parts[0]) if parts else b""
    if _FRAME_TYPE.search(header) is None:
        return None
    session = _SESSION.search(header)
    return session[1].decode(errors="replace") if session else ""


def read_start_session(parts: list[Any]) -> str | None:
    """Return the session that an undecodable start message names; None if none."""
    try:
        header = msgspec.json.decode(bytes(parts[0]))
    except (msgspec.DecodeError, UnicodeDecodeError, IndexError):
        return None
    if not isinstance(header, dict) or header.get("type") != "start":
        return None
    session = header.get("session")
    return session if isinstance(session, str) else None


def encode_published(message: PublishedMessage, payload: Any = b"") -> list[Any]:
    """Return the three parts to publish; the topic is the message's type."""
    topic = message_type(message).encode()
    return [topic, _encoder.encode(message), _payload_bytes(payload)]


def decode_published(parts: list[Any]) -> tuple[PublishedMessage, Array]:
    """Decode three parts from the daemon, as `decode_incoming` does."""
    if len(parts) != 3:
        raise WireError(f"published message has {len(parts)} parts, expected 3")
    message = _decode_header(_published_decoder, parts[1])
    if message_type(message).encode() != bytes(parts[0]):
        raise WireError(
            f"topic {bytes(parts[0])!r} carries a {message_type(message)} header"
        )
    payload = memoryview(parts[2])
    if isinstance(message, Activity):
        if not len(payload):
            return message, np.empty(0, np.float32)
        return message, _decode_payload(payload, (len(payload) // 4,), "float32")
    dtype = _PAYLOAD_DTYPES.get(type(message))
    shape = getattr(message, "shape", None)
    if dtype is None or shape is None or not len(payload):
        return message, np.empty(0, np.uint8)
    return message, _decode_payload(payload, shape, dtype)


def message_type(message: msgspec.Struct | type[msgspec.Struct]) -> str:
    """Return the `type` of a header or of its class; also the topic if published."""
    return str(message.__struct_config__.tag)


def _payload_bytes(payload: Any) -> Any:
    if isinstance(payload, np.ndarray):
        little = payload.astype(payload.dtype.newbyteorder("<"), copy=False)
        return np.ascontiguousarray(little).reshape(-1).view(np.uint8).data
    return payload


def _split_parts(parts: list[Any]) -> tuple[Any, memoryview]:
    if len(parts) != 2:
        raise WireError(f"message has {len(parts)} parts, expected header and payload")
    return parts[0], memoryview(parts[1])


def _decode_header(decoder: msgspec.json.Decoder[Any], header: Any) -> Any:
    if len(header) > MAX_HEADER_BYTES:
        raise WireError(
            f"header is {len(header)} bytes, more than the {MAX_HEADER_BYTES} allowed"
        )
    try:
        return decoder.decode(header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"header does not parse: {error}") from None


def _payload_size(shape: tuple[int, ...], dtype: str) -> int:
    if any(side <= 0 for side in shape):
        raise WireError(f"shape {list(shape)} has a side that is not positive")
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if n_bytes > MAX_PAYLOAD_BYTES:
        raise WireError(
            f"shape {list(shape)} of {dtype} is {n_bytes} bytes, "
            f"more than the {MAX_PAYLOAD_BYTES} allowed"
        )
    return n_bytes


def _decode_unit_ids(start: SessionStart, payload: memoryview) -> Array:
    """Return the ids of the units, int64 (units,), of a session of spike rates."""
    n_rows, n_units = start.shape
    n_bytes = n_units * np.dtype(UNIT_ID_DTYPE).itemsize
    if n_rows != 1 or len(payload) != n_bytes:
        raise WireError(
            f"start of float32 {list(start.shape)} carries {len(payload)} bytes; spike "
            "rates have the shape [1, units], and their start carries the id of each "
            "unit as int64"
        )
    ids = np.frombuffer(payload, UNIT_ID_DTYPE)
    if len(np.unique(ids)) < n_units:
        raise WireError("start carries the same unit id twice; each must be different")
    return ids


def _decode_payload(payload: memoryview, shape: tuple[int, ...], dtype: str) -> Array:
    n_bytes = _payload_size(shape, dtype)
    if len(payload) != n_bytes:
        raise WireError(
            f"payload is {len(payload)} bytes, but shape {list(shape)} of {dtype} "
            f"needs {n_bytes}"
        )
    return np.frombuffer(payload, np.dtype(dtype).newbyteorder("<")).reshape(shape)
