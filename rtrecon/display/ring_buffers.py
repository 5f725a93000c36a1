"""Two ring buffers by encoder frame: columns of numbers, and images."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array

MAX_FRAME_SEARCH = 3  # how many frames back to look for a frame that is missing


class ColumnRing:
    """The newest `n_columns` encoder frames, each a column of `n_rows` values.

    Columns are float32. A frame that was never received is a column of NaN.
    """

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self.newest_index = -1
        self._columns = np.full((n_rows, n_columns), np.nan, np.float32)

    @property
    def n_rows(self) -> int:
        """Number of values per frame."""
        return len(self._columns)

    def put(self, index: int, column: Array) -> None:
        """Store the column (n_rows,) of encoder frame `index`.

        Frames must come in order. A smaller index means that the daemon has restarted
        its count: all older columns are discarded.
        """
        n_columns = self._columns.shape[1]
        if index <= self.newest_index:
            self._columns.fill(np.nan)
        first_missing = max(self.newest_index + 1, index - n_columns + 1)
        for missing in range(first_missing, index):
            self._columns[:, missing % n_columns] = np.nan
        self._columns[:, index % n_columns] = column
        self.newest_index = index

    def columns_until(self, index: int) -> Array:
        """Return the columns that end at frame `index`: (n_rows, n_columns)."""
        n_columns = self._columns.shape[1]
        indices = np.arange(index - n_columns + 1, index + 1)
        columns = self._columns[:, indices % n_columns]
        oldest_index = self.newest_index - n_columns + 1
        is_stored = (indices >= oldest_index) & (indices <= self.newest_index)
        return np.where(is_stored, columns, np.nan)


class ImageRing:
    """The newest images by encoder frame, at most `max_frames` and `max_bytes`."""

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self.n_bytes = 0
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._images: dict[int, Array] = {}

    @property
    def oldest_index(self) -> int:
        """The oldest encoder frame that is stored."""
        return next(iter(self._images))

    def put(self, index: int, image: Array) -> None:
        """Store an image; it replaces an earlier image of the same frame."""
        replaced = self._images.get(index)
        self.n_bytes += image.nbytes - (0 if replaced is None else replaced.nbytes)
        # A view would keep the memory of the whole message, so store a copy.
        self._images[index] = image.copy()
        while len(self._images) > self._max_frames or self.n_bytes > self._max_bytes:
            self.n_bytes -= self._images.pop(self.oldest_index).nbytes

    def find_frame(self, index: int) -> Array | None:
        """Return frame `index`; None if it is not stored."""
        return self._images.get(index)

    def find_near(self, index: int) -> tuple[int, Array] | None:
        """Return frame `index`, or a frame at most two before it, with its index."""
        for candidate in range(index, index - MAX_FRAME_SEARCH, -1):
            if candidate in self._images:
                return candidate, self._images[candidate]
        return None
