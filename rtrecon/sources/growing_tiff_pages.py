"""The pages of a TIFF file while it is being written, one after the other."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.messages import MAX_PAYLOAD_BYTES
from rtrecon.sources.recording import RecordingError

_CLASSIC, _BIG = 42, 43
# A tag's kind of values -> as struct calls it, bytes of one.
_KINDS = {1: ("B", 1), 2: ("s", 1), 3: ("H", 2), 4: ("I", 4), 16: ("Q", 8)}
_WIDTH, _LENGTH, _BITS, _COMPRESSION = 256, 257, 258, 259
_DESCRIPTION, _OFFSETS, _SAMPLES, _COUNTS, _FORMAT = 270, 273, 277, 279, 339
_KNOWN = (
    *(_WIDTH, _LENGTH, _BITS, _COMPRESSION, _DESCRIPTION),
    *(_OFFSETS, _SAMPLES, _COUNTS, _FORMAT),
)
_MOST_TAGS = 4096  # more are no directory but what is not written yet
_SIGNED = 2


@dataclass(frozen=True)
class Page:
    """An image, (lines, pixels), and its text."""

    pixels: Array
    description: str


class Chain:
    """Reads page after page, as far as they are whole; remembers only where it is.

    Classic TIFF or BigTIFF, uncompressed 16-bit images. A page counts as whole once
    all that its directory points to lies within the file: a writer appends, and puts
    in the link to the next directory first or last. Raises `RecordingError` with a
    sentence that lacks the file's name.
    """

    def __init__(self, path: Path) -> None:
        # Unbuffered: what was read a moment ago may have been written since.
        self._file: BinaryIO = path.open("rb", buffering=0)
        self._order, self._is_big = "", False
        self._link = 0  # where the next directory's offset stands
        self.n_read = 0

    def next(self) -> Page | None:
        """Return the next page, or None if it is not whole yet."""
        if not self._order and not self._begin():
            return None
        start = self._number_at(self._link, "Q" if self._is_big else "I")
        if not start:
            return None
        found = self._directory(start)
        if found is None:
            return None
        tags, link = found
        try:
            page = self._page(tags)
        except RecordingError:
            raise
        except (AttributeError, IndexError, TypeError, ValueError):
            raise RecordingError(f"page {self.n_read} makes no sense") from None
        if page is not None:
            self._link = link
            self.n_read += 1
        return page

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _begin(self) -> bool:
        head = self._read(0, 8)
        if head is None:
            return False
        order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        version = struct.unpack(f"{order or '<'}H", head[2:4])[0]
        if not order or version not in (_CLASSIC, _BIG):
            raise RecordingError("it is not a readable TIFF file")
        self._order, self._is_big = order, version == _BIG
        self._link = 8 if self._is_big else 4
        return True

    def _directory(self, start: int) -> tuple[dict[int, tuple[Any, ...]], int] | None:
        """Return values by tag, and where the link to the next directory stands."""
        count_type, entry_type = ("Q", "HHQ8s") if self._is_big else ("H", "HHI4s")
        count = self._number_at(start, count_type)
        if not count or count > _MOST_TAGS:
            return None
        first = start + struct.calcsize(f"={count_type}")
        link = first + count * struct.calcsize(f"={entry_type}")
        link_bytes = 8 if self._is_big else 4
        raw = self._read(first, link + link_bytes - first)
        if raw is None:
            return None
        tags: dict[int, tuple[Any, ...]] = {}
        entries = struct.iter_unpack(f"{self._order}{entry_type}", raw[:-link_bytes])
        for tag, kind, n, value in entries:
            if tag not in _KNOWN:
                continue
            values = self._values(kind, n, value)
            if values is None:
                return None
            tags[tag] = values
        return tags, link

    def _values(self, kind: int, count: int, inline: bytes) -> tuple[Any, ...] | None:
        """Return a tag's values: those within it, or those that it points to."""
        if kind not in _KINDS:
            return ()
        code, each = _KINDS[kind]
        size = count * each
        raw: bytes | None = inline[:size]
        if size > len(inline):
            pointer = "Q" if self._is_big else "I"
            raw = self._read(struct.unpack(f"{self._order}{pointer}", inline)[0], size)
        return (
            None if raw is None else struct.unpack(f"{self._order}{count}{code}", raw)
        )

    def _page(self, tags: dict[int, tuple[Any, ...]]) -> Page | None:
        """Return the page of these tags; IndexError and the like for nonsense."""
        one = (1,)
        if tags.get(_COMPRESSION, one)[0] != 1:
            raise RecordingError(
                "its pages are compressed; only plain ones can be followed"
            )
        bits = tags.get(_BITS, ())
        if bits != (16,) or tags.get(_SAMPLES, one)[0] != 1:
            raise RecordingError(f"its pixels have {bits} bits; 16 can be followed")
        strips = zip(tags.get(_OFFSETS, ()), tags.get(_COUNTS, ()), strict=True)
        read = [self._read(offset, size) for offset, size in strips]
        whole = [strip for strip in read if strip is not None]
        if len(whole) < len(read):
            return None
        kind = "i2" if tags.get(_FORMAT, one)[0] == _SIGNED else "u2"
        pixels = np.frombuffer(b"".join(whole), f"{self._order}{kind}")
        shape = tags.get(_LENGTH, ())[0], tags.get(_WIDTH, ())[0]
        text = (
            tags.get(_DESCRIPTION, (b"",))[0].rstrip(b"\0").decode("utf-8", "replace")
        )
        return Page(pixels.astype(kind, copy=False).reshape(shape), text)

    def _number_at(self, start: int, code: str) -> int:
        """Return a number of the file, 0 where it is not written yet."""
        raw = self._read(start, struct.calcsize(f"={code}"))
        return 0 if raw is None else int(struct.unpack(f"{self._order}{code}", raw)[0])

    def _read(self, start: int, size: int) -> bytes | None:
        """Return bytes of the file, None where it is not that long yet."""
        if size > MAX_PAYLOAD_BYTES:
            raise RecordingError(
                f"page {self.n_read} is {size} bytes, which none can be"
            )
        if start + size > os.fstat(self._file.fileno()).st_size:
            return None
        self._file.seek(start)
        raw = self._file.read(size)
        return raw if len(raw) == size else None
