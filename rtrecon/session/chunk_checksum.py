"""Checksums of recorded chunks, as Zarr's codec `crc32c` stores them.

A chunk's file holds the rows' own bytes and then 4 bytes: their CRC-32C, little-endian.
So a chunk that a crash left as zeros, or that a disk has altered, is found.
"""

from __future__ import annotations

from pathlib import Path

import google_crc32c
import numpy as np

from rtrecon.core.types import Array

CHECKSUM_BYTES = 4


def write_chunk(file: Path, chunk: Array) -> None:
    """Write a contiguous array and its checksum."""
    data = chunk.reshape(-1).view(np.uint8)
    with file.open("wb") as opened:
        opened.write(data.data)
        opened.write(_compute_checksum(data))


def is_chunk_altered(file: Path) -> bool:
    """Return whether a chunk's bytes do not fit its checksum; reads all of it."""
    content = file.read_bytes()
    data, stored = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    return _compute_checksum(data) != stored


def is_chunk_unwritten(file: Path) -> bool:
    """Return whether a chunk was lost before it was written; reads 4 bytes of it.

    A crash leaves a file of the right length whose end is zero.
    """
    with file.open("rb") as opened:
        opened.seek(-CHECKSUM_BYTES, 2)
        is_zero = not any(opened.read(CHECKSUM_BYTES))
    return is_zero and is_chunk_altered(file)


def _compute_checksum(data: bytes | Array) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(CHECKSUM_BYTES, "little")
