"""Finds the rows of a table by encoder frame, in whatever order they were recorded.

The stimulus of two programs has two rows per encoder frame, and after a clock was
corrected, older frames follow newer ones.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.session.table import Table


class RowIndex:
    """The rows of each encoder frame. recorded: (rows,) encoder frame of each row."""

    def __init__(self, recorded: Array) -> None:
        self._order = np.argsort(recorded, kind="stable")
        self._sorted = recorded[self._order]

    def find_first(self, frames: Array) -> Array:
        """Return the first row of each of these frames, all of which were recorded."""
        return np.asarray(self._order[np.searchsorted(self._sorted, frames)])

    def find_last(self, frames: Array) -> Array:
        """Return the last row of each of these frames, all of which were recorded."""
        stop = np.searchsorted(self._sorted, frames, side="right")
        return np.asarray(self._order[stop - 1])


def read_rows(table: Table, rows: Array) -> Array:
    """Return the values of these rows (k,), which lie close together."""
    if not len(rows):
        return table.read_values(0, 0)
    start = int(rows.min())
    return table.read_values(start, int(rows.max()) + 1)[rows - start]
