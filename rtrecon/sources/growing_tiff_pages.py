"""Reads the pages of a TIFF file one after the other while it is being written."""

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
# Type of a tag's values -> its struct code, bytes per value.
_VALUE_TYPES = {1: ("B", 1), 2: ("s", 1), 3: ("H", 2), 4: ("I", 4), 16: ("Q", 8)}
_WIDTH, _LENGTH, _BITS, _COMPRESSION = 256, 257, 258, 259
_DESCRIPTION, _OFFSETS, _SAMPLES, _COUNTS, _FORMAT = 270, 273, 277, 279, 339
_USED_TAGS = (
    *(_WIDTH, _LENGTH, _BITS, _COMPRESSION, _DESCRIPTION),
    *(_OFFSETS, _SAMPLES, _COUNTS, _FORMAT),
)
_MAX_TAGS = 4096  # a larger count is a directory that is not written yet
_SIGNED_FORMAT = 2


@dataclass(frozen=True)
class TiffPage:
    """One page: its image (lines, pixels) and its text."""

    pixels: Array
    description: str


class GrowingTiffReader:
    """Reads the complete pages of a growing file and remembers only its position.

    Classic TIFF or BigTIFF with uncompressed 16-bit images. A page is complete once
    everything that its directory points to lies within the file: the writer appends,
    and writes the link to the next directory either first or last. Raises
    `RecordingError` that does not name the file.
    """

    def __init__(self, path: Path) -> None:
        # Unbuffered, because bytes read a moment ago may have changed since.
        self._file: BinaryIO = path.open("rb", buffering=0)
        self._byte_order, self._is_big = "", False
        self._link_offset = 0  # where the offset of the next directory is stored
        self.n_pages_read = 0

    def read_page(self) -> TiffPage | None:
        """Return the next page, or None if it is not complete yet."""
        if not self._byte_order and not self._read_file_header():
            return None
        start = self._read_number(self._link_offset, "Q" if self._is_big else "I")
        if not start:
            return None
        directory = self._read_directory(start)
        if directory is None:
            return None
        tags, link_offset = directory
        try:
            page = self._build_page(tags)
        except RecordingError:
            raise
        except (AttributeError, IndexError, TypeError, ValueError):
            raise RecordingError(f"page {self.n_pages_read} is damaged") from None
        if page is not None:
            self._link_offset = link_offset
            self.n_pages_read += 1
        return page

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_file_header(self) -> bool:
        head = self._read_bytes(0, 8)
        if head is None:
            return False
        byte_order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        version = struct.unpack(f"{byte_order or '<'}H", head[2:4])[0]
        if not byte_order or version not in (_CLASSIC, _BIG):
            raise RecordingError("it is not a readable TIFF file")
        self._byte_order, self._is_big = byte_order, version == _BIG
        self._link_offset = 8 if self._is_big else 4
        return True

    def _read_directory(
        self, start: int
    ) -> tuple[dict[int, tuple[Any, ...]], int] | None:
        """Return values by tag, and where the link to the next directory is stored."""
        count_type, entry_type = ("Q", "HHQ8s") if self._is_big else ("H", "HHI4s")
        n_tags = self._read_number(start, count_type)
        if not n_tags or n_tags > _MAX_TAGS:
            return None
        first = start + struct.calcsize(f"={count_type}")
        link_offset = first + n_tags * struct.calcsize(f"={entry_type}")
        link_bytes = 8 if self._is_big else 4
        raw = self._read_bytes(first, link_offset + link_bytes - first)
        if raw is None:
            return None
        tags: dict[int, tuple[Any, ...]] = {}
        entry_format = f"{self._byte_order}{entry_type}"
        entries = struct.iter_unpack(entry_format, raw[:-link_bytes])
        for tag, value_type, n_values, inline in entries:
            if tag not in _USED_TAGS:
                continue
            values = self._read_tag_values(value_type, n_values, inline)
            if values is None:
                return None
            tags[tag] = values
        return tags, link_offset

    def _read_tag_values(
        self, value_type: int, n_values: int, inline: bytes
    ) -> tuple[Any, ...] | None:
        """Return the values that the entry holds itself, or those it points to."""
        if value_type not in _VALUE_TYPES:
            return ()
        code, value_bytes = _VALUE_TYPES[value_type]
        size = n_values * value_bytes
        raw: bytes | None = inline[:size]
        if size > len(inline):
            pointer = "Q" if self._is_big else "I"
            (start,) = struct.unpack(f"{self._byte_order}{pointer}", inline)
            raw = self._read_bytes(start, size)
        if raw is None:
            return None
        return struct.unpack(f"{self._byte_order}{n_values}{code}", raw)

    def _build_page(self, tags: dict[int, tuple[Any, ...]]) -> TiffPage | None:
        """Return the page of these tags; IndexError and similar for damaged tags."""
        default = (1,)
        if tags.get(_COMPRESSION, default)[0] != 1:
            raise RecordingError(
                "its pages are compressed; only uncompressed files can be followed"
            )
        bits = tags.get(_BITS, ())
        if bits != (16,) or tags.get(_SAMPLES, default)[0] != 1:
            raise RecordingError(
                f"its pixels have {bits} bits; only 16-bit pixels can be followed"
            )
        strips = zip(tags.get(_OFFSETS, ()), tags.get(_COUNTS, ()), strict=True)
        read = [self._read_bytes(offset, size) for offset, size in strips]
        complete = [strip for strip in read if strip is not None]
        if len(complete) < len(read):
            return None
        is_signed = tags.get(_FORMAT, default)[0] == _SIGNED_FORMAT
        dtype = "i2" if is_signed else "u2"
        pixels = np.frombuffer(b"".join(complete), f"{self._byte_order}{dtype}")
        shape = tags.get(_LENGTH, ())[0], tags.get(_WIDTH, ())[0]
        text = tags.get(_DESCRIPTION, (b"",))[0].rstrip(b"\0")
        return TiffPage(
            pixels.astype(dtype, copy=False).reshape(shape),
            text.decode("utf-8", "replace"),
        )

    def _read_number(self, start: int, code: str) -> int:
        """Return a number in the file; 0 if it is not written yet."""
        raw = self._read_bytes(start, struct.calcsize(f"={code}"))
        if raw is None:
            return 0
        return int(struct.unpack(f"{self._byte_order}{code}", raw)[0])

    def _read_bytes(self, start: int, size: int) -> bytes | None:
        """Return bytes of the file, None while the file is too short."""
        if size > MAX_PAYLOAD_BYTES:
            raise RecordingError(
                f"page {self.n_pages_read} claims {size} bytes; at most "
                f"{MAX_PAYLOAD_BYTES} are possible"
            )
        if start + size > os.fstat(self._file.fileno()).st_size:
            return None
        self._file.seek(start)
        raw = self._file.read(size)
        return raw if len(raw) == size else None
