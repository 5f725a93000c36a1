"""Masks as runs of pixels down the columns, so that their sums cost two reads per run.

A running sum of each column is kept while the image is read line by line. The sum of a
run is the difference of its column's running sum between its end and its start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.traces import kernels

# Spans of columns nearer than this are joined: starting a loop costs as much.
_MAX_GAP_PX = 16
# (first, column, mask), sorted by row: see `kernels.sum_runs`.
_RunsByRow = tuple[Array, Array, Array]


@dataclass(frozen=True)
class MaskPixels:
    """Which pixel belongs to which of n masks; a pixel may belong to several.

    owner, rows, cols: (m,) each. shape: (lines, pixels) of the field.
    """

    n: int
    shape: tuple[int, int]
    owner: Array
    rows: Array
    cols: Array


class MaskSums:
    """Sums images over many masks in one pass through the image."""

    def __init__(self, masks: MaskPixels) -> None:
        owner, col, start, stop = _find_runs(masks)
        rng = np.random.default_rng(0)
        lines, pixels = masks.shape
        self._starts = _sort_by_row(start, col, owner, lines, rng)
        self._stops = _sort_by_row(stop, col, owner, lines, rng)
        self._spans = _find_column_spans(masks)
        self._column = np.empty(pixels, np.float32)

    def compute_sums(self, image: Array, out: Array) -> None:
        """Fill out, (n,) float32, with each mask's sum over a float32 image."""
        kernels.sum_runs(
            image, self._spans, self._starts, self._stops, self._column, out
        )


def _find_runs(masks: MaskPixels) -> tuple[Array, Array, Array, Array]:
    """Return owner, column, first row and row after the last of every run."""
    lines, pixels = masks.shape
    # One line more than the field has, so that no run continues into the next column.
    order = (masks.owner * pixels + masks.cols) * (lines + 1) + masks.rows
    order = np.unique(order.astype(np.int64))
    ends = np.flatnonzero(np.diff(order) != 1)
    first = order[np.concatenate([[0], ends + 1]).astype(int)[: len(order)]]
    last = order[np.concatenate([ends, [len(order) - 1]]).astype(int)[: len(order)]]
    owner_and_col, start = np.divmod(first, lines + 1)
    owner, col = np.divmod(owner_and_col, pixels)
    return owner, col, start, last % (lines + 1) + 1


def _sort_by_row(
    row: Array, col: Array, owner: Array, lines: int, rng: np.random.Generator
) -> _RunsByRow:
    """Sort the starts or ends of runs by row, at random within a row."""
    order = np.lexsort((rng.random(len(row)), row))
    first = np.searchsorted(row[order], np.arange(lines + 2))
    return first, col[order].astype(np.uint32), owner[order].astype(np.uint32)


def _find_column_spans(masks: MaskPixels) -> _RunsByRow:
    """Return the spans of columns in which some mask has pixels, by row."""
    lines, pixels = masks.shape
    padded = pixels + _MAX_GAP_PX
    used = np.unique(masks.rows.astype(np.int64) * padded + masks.cols)
    gaps = np.flatnonzero(np.diff(used) > _MAX_GAP_PX)
    first = used[np.concatenate([[0], gaps + 1]).astype(int)[: len(used)]]
    last = used[np.concatenate([gaps, [len(used) - 1]]).astype(int)[: len(used)]]
    row, start = np.divmod(first, padded)
    stop = last % padded + 1
    index = np.searchsorted(row, np.arange(lines + 2))
    return index, start.astype(np.uint32), stop.astype(np.uint32)
