"""Columns of numbers by encoder frame: the newest stay, holes stay holes."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array


class FrameRing:
    """The newest `n_columns` encoder frames of `n_rows` values each, float32.

    Remembers one column per frame; frames that never came are NaN.
    """

    def __init__(self, n_rows: int, n_columns: int) -> None:
        self.newest = -1
        self._columns = np.full((n_rows, n_columns), np.nan, np.float32)

    @property
    def n_rows(self) -> int:
        """How many values a frame has."""
        return len(self._columns)

    def put(self, index: int, column: Array) -> None:
        """Place a column (n_rows,) at its frame, which is newer than all others."""
        n_columns = self._columns.shape[1]
        if index <= self.newest:  # the daemon counts from the start again
            self._columns.fill(np.nan)
        for skipped in range(max(self.newest + 1, index - n_columns + 1), index):
            self._columns[:, skipped % n_columns] = np.nan
        self._columns[:, index % n_columns] = column
        self.newest = index

    def until(self, index: int) -> Array:
        """Return (n_rows, n_columns), oldest first, of the frames up to `index`."""
        n_columns = self._columns.shape[1]
        frames = np.arange(index - n_columns + 1, index + 1)
        held = self._columns[:, frames % n_columns]
        kept = (frames > self.newest - n_columns) & (frames <= self.newest)
        return np.where(kept, held, np.nan)
