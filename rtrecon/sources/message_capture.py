"""Messages as they came, in a file: to send to those who can tell what they mean.

First "RTRCAP1" and a newline; then for each message the time f64 and its number of
parts u32; for each part its length u64 and its bytes. Little-endian; the time is the
wall clock's, in seconds, at which the message came.
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
_MOST_PARTS, _MOST_BYTES = 256, 256 * 1024 * 1024  # of a message that may be read


def write_capture(
    path: Path, messages: Iterable[Message], told: Callable[[int], None]
) -> int:
    """Write messages as they come and return how many; `told` after each."""
    n_messages = 0
    with path.open("wb") as file:
        file.write(_MAGIC)
        for message in messages:
            file.write(_HEAD.pack(time.time(), len(message)))
            for part in message:
                file.write(_LENGTH.pack(len(part)))
                file.write(part)
            n_messages += 1
            told(n_messages)
    return n_messages


def read_capture(path: Path) -> Generator[tuple[float, Message], None, None]:
    """Yield (time in s, message) of a file; raises `RecordingError` if it is damaged.

    A message that was not written to its end, because somebody pulled the plug, is
    left out.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise RecordingError(f"{path} was not written by 'rtrecon capture'")
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            time_s, n_parts = _HEAD.unpack(head)
            if n_parts > _MOST_PARTS:
                raise RecordingError(f"{path} is damaged: a message of {n_parts} parts")
            parts = [_part(path, file) for _ in range(n_parts)]
            whole = [part for part in parts if part is not None]
            if len(whole) < n_parts:
                return
            yield time_s, whole


def _part(path: Path, file: BinaryIO) -> bytes | None:
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    if size > _MOST_BYTES:
        raise RecordingError(f"{path} is damaged: a part of {size} bytes")
    part = file.read(size)
    return part if len(part) == size else None
