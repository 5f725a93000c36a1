"""Files of captured ZeroMQ messages, byte by byte as they arrived.

A user who has messages that rtrecon cannot read sends such a file to the developers.

Layout: "RTRCAP1" and a newline; then for each message the time f64 and its number of
parts u32; for each part its length u64 and its bytes. Little-endian; the time is the
wall clock in seconds at which the message arrived.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import BinaryIO

from rtrecon.sources.recording import RecordingError

Message = list[bytes]

_MAGIC = b"RTRCAP1\n"
_HEAD, _LENGTH = struct.Struct("<dI"), struct.Struct("<Q")
_MAX_PARTS, _MAX_PART_BYTES = 256, 256 * 1024 * 1024


def write_capture(
    path: Path, messages: Iterable[Message], on_progress: Callable[[int], None]
) -> int:
    """Write messages as they arrive and return their number.

    `on_progress` is called after each message with the number written so far.
    """
    n_messages = 0
    with path.open("wb") as file:
        file.write(_MAGIC)
        for message in messages:
            file.write(_HEAD.pack(time.time(), len(message)))
            for part in message:
                file.write(_LENGTH.pack(len(part)))
                file.write(part)
            n_messages += 1
            on_progress(n_messages)
    return n_messages


def read_capture(path: Path) -> Generator[tuple[float, Message], None, None]:
    """Yield (time in s, message); raises `RecordingError` for a damaged file.

    A last message that was not written completely is left out.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise RecordingError(f"{path} was not written by 'rtrecon capture'")
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            time_s, n_parts = _HEAD.unpack(head)
            if n_parts > _MAX_PARTS:
                raise RecordingError(f"{path} is damaged: a message of {n_parts} parts")
            parts = [_read_part(path, file) for _ in range(n_parts)]
            complete = [part for part in parts if part is not None]
            if len(complete) < n_parts:
                return
            yield time_s, complete


def _read_part(path: Path, file: BinaryIO) -> bytes | None:
    """Return None at the end of the file."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    if size > _MAX_PART_BYTES:
        raise RecordingError(f"{path} is damaged: a part of {size} bytes")
    part = file.read(size)
    return part if len(part) == size else None
