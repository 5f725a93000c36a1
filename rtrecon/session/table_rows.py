"""Finds the rows of a table by encoder frame, in whatever order they were recorded.

The stimulus of two programs has two rows per encoder frame, and after a clock was
corrected, older frames follow newer ones.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.session.table import Table


def find_last_rows(recorded: Array, frames: Array) -> Array:
    """Return the last row of each of these frames, all of which were recorded.

    recorded: (rows,) encoder frame of each row. frames: (k,).
    """
    order = np.argsort(recorded, kind="stable")
    positions = np.searchsorted(recorded[order], frames, side="right") - 1
    return np.asarray(order[positions])


def read_rows(table: Table, rows: Array) -> Array:
    """Return the values of these rows (k,), which lie close together."""
    if not len(rows):
        return table.read_values(0, 0)
    start = int(rows.min())
    return table.read_values(start, int(rows.max()) + 1)[rows - start]
