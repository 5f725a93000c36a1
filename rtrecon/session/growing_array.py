"""Zarr arrays that grow row by row and can be read at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec

from rtrecon.core.files import open_atomically, write_atomically
from rtrecon.core.types import Array
from rtrecon.session.chunk_checksum import (
    CHECKSUM_BYTES,
    is_chunk_altered,
    is_chunk_unwritten,
    write_chunk,
)

MAX_ROWS = 10**8  # of one array: more than a month at 30 Hz


class GrowingArray:
    """One Zarr v3 array to which rows are appended; a chunk is written when it is full.

    zarr creates the array. The chunks are not compressed, so a chunk's file holds the
    rows' own bytes and their checksum, and this class writes both the chunks and the
    array's shape: zarr's own append takes 3 ms of Python, which delays frames in
    another thread; this takes a tenth of it. The chunk is written first, then the
    shape, and each file is replaced as a whole: neither a reader nor a crash meets a
    row that is not on disk.
    """

    def __init__(
        self,
        folder: Path,
        chunk_shape: tuple[int, ...],
        dtype: str,
        dimensions: tuple[str, ...],
        attributes: dict[str, Any] | None = None,
    ) -> None:
        """Create an empty array in a new folder.

        chunk_shape: (rows per chunk, ...). dimensions: a name for each axis.
        """
        fill_value = np.nan if np.dtype(dtype).kind == "f" else 0
        zarr.create_array(
            folder,
            shape=(0, *chunk_shape[1:]),
            chunks=chunk_shape,
            dtype=dtype,
            compressors=[Crc32cCodec()],
            fill_value=fill_value,
            chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=dimensions,
            attributes=attributes or {},
        )
        self._folder = folder
        self._metadata = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
        self._chunk = np.full(chunk_shape, fill_value, dtype)
        self._n_appended = 0
        self._n_written = 0

    @property
    def n_unwritten_rows(self) -> int:
        """How many appended rows are not on disk yet."""
        return self._n_appended - self._n_written

    def append(self, row: Any) -> None:
        """Append one row; write the chunk if it is now full."""
        self._chunk[self._n_appended % len(self._chunk)] = row
        self._n_appended += 1
        if self._n_appended % len(self._chunk) == 0:
            self.flush()

    def flush(self) -> None:
        """Write the newest chunk, full or not; a later flush may write it again."""
        if not self.n_unwritten_rows:
            return
        chunk_index = (self._n_appended - 1) // len(self._chunk)
        file = self._folder / _name_chunk_file(chunk_index, self._chunk.ndim)
        if self._n_written % len(self._chunk):
            with open_atomically(file) as temporary:
                write_chunk(temporary, self._chunk)
        else:
            # The chunk lies beyond the array's shape: nobody reads it yet.
            write_chunk(file, self._chunk)
        self._metadata["shape"][0] = self._n_appended
        write_atomically(
            self._folder / "zarr.json", json.dumps(self._metadata).encode()
        )
        self._n_written = self._n_appended


def find_damaged_rows(
    array: zarr.Array[Any], folder: Path, *, is_thorough: bool
) -> Array:
    """Return (n_rows,) bool: True where a row's chunk is missing or damaged.

    A killed writer leaves no such chunk; a crash of the computer, a failed disk or an
    incomplete copy may. is_thorough: read each chunk and compare its checksum; else
    only chunks of the wrong size, or that were never written, are found. Raises
    ValueError for an impossible number of rows.
    """
    if array.shape[0] > MAX_ROWS:
        raise ValueError(f"{array.shape[0]} rows are impossible")
    is_damaged_file = is_chunk_altered if is_thorough else is_chunk_unwritten
    # Only chunks: a temporary file of a running recording can vanish meanwhile.
    with os.scandir(folder) as entries:
        chunks = [entry for entry in entries if entry.name.startswith("c.")]
        sizes = {entry.name: entry.stat().st_size for entry in chunks}
    n_rows, rows_per_chunk = int(array.shape[0]), int(array.chunks[0])
    chunk_bytes = int(np.prod(array.chunks)) * array.dtype.itemsize
    chunk_bytes += CHECKSUM_BYTES
    is_damaged = np.zeros(n_rows, bool)
    for first in range(0, n_rows, rows_per_chunk):
        name = _name_chunk_file(first // rows_per_chunk, array.ndim)
        if sizes.get(name) != chunk_bytes or is_damaged_file(folder / name):
            is_damaged[first : first + rows_per_chunk] = True
    return is_damaged


def read_intact_rows(array: zarr.Array[Any], rows: slice, out: Array) -> Array:
    """Read rows of an array into `out`; leave those of damaged chunks as they are.

    Returns (n_rows,) bool: True where a row could not be read.
    """
    is_damaged = np.zeros(rows.stop - rows.start, bool)
    try:
        out[:] = array[rows]
        return is_damaged
    except (ValueError, OSError):  # by checksum; then chunk by chunk
        pass
    rows_per_chunk = int(array.chunks[0])
    first = rows.start
    while first < rows.stop:
        stop = min(rows.stop, (first // rows_per_chunk + 1) * rows_per_chunk)
        part = slice(first - rows.start, stop - rows.start)
        try:
            out[part] = array[first:stop]
        except (ValueError, OSError):
            is_damaged[part] = True
        first = stop
    return is_damaged


def find_consecutive_runs(indices: Array) -> Iterator[slice]:
    """Yield slices of increasing indices, such that each slice has no gap."""
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    edges = [0, *breaks.tolist(), len(indices)]
    for start, stop in pairwise(edges):
        if stop > start:
            yield slice(start, stop)


def _name_chunk_file(chunk_index: int, n_dimensions: int) -> str:
    return ".".join(["c", str(chunk_index), *["0"] * (n_dimensions - 1)])
