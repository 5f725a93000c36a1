"""Arrays on disk that grow row by row, and are whole at every moment."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import zarr

HELD_TRIES = 5
HELD_PAUSE_S = 0.05


class GrowingArray:
    """One Zarr v3 array to which rows are appended; chunks are written as they fill.

    zarr makes the array. Its chunks are not compressed, so a chunk's file is the rows'
    own bytes, and both it and the array's shape are written here: zarr's own append
    takes 3 ms of Python, which frames in another thread feel, this a tenth of it.
    The chunk goes first, then the shape, each replaced as a whole file: neither a
    reader nor a crash ever meets a row that is not there.
    """

    def __init__(self, folder: Path, chunk_shape: tuple[int, ...], dtype: str) -> None:
        """Make an empty array in a new folder; chunk_shape: (rows per chunk, ...)."""
        blank = np.nan if np.dtype(dtype).kind == "f" else 0
        zarr.create_array(
            folder,
            shape=(0, *chunk_shape[1:]),
            chunks=chunk_shape,
            dtype=dtype,
            compressors=None,
            fill_value=blank,
            chunk_key_encoding={"name": "default", "separator": "."},
        )
        self._folder = folder
        self._metadata = json.loads((folder / "zarr.json").read_text(encoding="utf-8"))
        self._chunk = np.full(chunk_shape, blank, dtype)
        self._length = 0  # rows appended
        self._written = 0  # rows on disk

    @property
    def open_rows(self) -> int:
        """How many appended rows are not on disk yet."""
        return self._length - self._written

    def append(self, row: Any) -> None:
        """Take one row; writes the chunk if this fills it."""
        self._chunk[self._length % len(self._chunk)] = row
        self._length += 1
        if self._length % len(self._chunk) == 0:
            self.flush()

    def flush(self) -> None:
        """Write the open chunk as far as it is filled; it may be written again."""
        if not self.open_rows:
            return
        number = (self._length - 1) // len(self._chunk)
        file = self._folder / _key(number, self._chunk.ndim)
        if self._written % len(self._chunk):
            replace(file, self._chunk.data)
        else:
            # Beyond the shape: nobody reads it yet.
            file.write_bytes(self._chunk.data)
        self._metadata["shape"][0] = self._length
        replace(self._folder / "zarr.json", json.dumps(self._metadata).encode())
        self._written = self._length


def open_intact(folder: Path) -> tuple[zarr.Array[Any], int]:
    """Open an array for reading; returns it and how many leading rows are readable.

    A killed writer leaves none that is not; a lost disk or a copy that was cut off
    may, and then the newest chunks are torn or missing.
    """
    array = zarr.open_array(folder, mode="r")
    rows = int(array.shape[0])
    chunk_bytes = int(np.prod(array.chunks)) * array.dtype.itemsize
    while rows:
        number = (rows - 1) // array.chunks[0]
        file = folder / _key(number, array.ndim)
        if file.exists() and file.stat().st_size == chunk_bytes:
            break
        rows = number * array.chunks[0]
    return array, rows


def replace(path: Path, data: Any) -> None:
    """Write a file such that it is always either the old one or the new one."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data)
    for _ in range(HELD_TRIES):
        try:
            partial.replace(path)
            return
        except PermissionError:
            # On Windows a file that somebody reads at this moment cannot be replaced.
            time.sleep(HELD_PAUSE_S)
    partial.replace(path)


def _key(number: int, ndim: int) -> str:
    return ".".join(["c", str(number), *["0"] * (ndim - 1)])
