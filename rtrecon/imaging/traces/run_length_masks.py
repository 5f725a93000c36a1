"""Masks as unbroken runs of pixels down the columns: two reads each, however long."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.traces import kernels

# Spans of columns nearer than this are one: a loop's start costs as much.
_GAP_PX = 16
_Events = tuple[Array, Array, Array]


@dataclass(frozen=True)
class Pixels:
    """Which pixel belongs to which of n masks; a pixel may belong to several.

    owner, rows, cols: (m,) each. shape: (lines, pixels) of the field.
    """

    n: int
    shape: tuple[int, int]
    owner: Array
    rows: Array
    cols: Array


class RunSums:
    """Sums images over many masks in one pass through the image."""

    def __init__(self, masks: Pixels) -> None:
        owner, col, start, stop = _runs(masks)
        rng = np.random.default_rng(0)
        lines, pixels = masks.shape
        self._starts = _events(start, col, owner, lines, rng)
        self._stops = _events(stop, col, owner, lines, rng)
        self._spans = _spans(masks)
        self._column = np.empty(pixels, np.float32)

    def sums(self, image: Array, out: Array) -> None:
        """Fill out, (n,) float32, with each mask's sum over a float32 image."""
        kernels.run_sums(
            image, self._spans, self._starts, self._stops, self._column, out
        )


def _runs(masks: Pixels) -> tuple[Array, Array, Array, Array]:
    """Owner, column, first row and row after the last of every run."""
    lines, pixels = masks.shape
    # One line more than there is, so that no run continues into the next column.
    order = (masks.owner * pixels + masks.cols) * (lines + 1) + masks.rows
    order = np.unique(order.astype(np.int64))
    ends = np.flatnonzero(np.diff(order) != 1)
    first = order[np.concatenate([[0], ends + 1]).astype(int)[: len(order)]]
    last = order[np.concatenate([ends, [len(order) - 1]]).astype(int)[: len(order)]]
    place, start = np.divmod(first, lines + 1)
    owner, col = np.divmod(place, pixels)
    return owner, col, start, last % (lines + 1) + 1


def _events(
    row: Array, col: Array, owner: Array, lines: int, rng: np.random.Generator
) -> _Events:
    order = np.lexsort((rng.random(len(row)), row))
    first = np.searchsorted(row[order], np.arange(lines + 2))
    return first, col[order].astype(np.uint32), owner[order].astype(np.uint32)


def _spans(masks: Pixels) -> _Events:
    """Columns that some mask has pixels in, by row, near ones joined."""
    lines, pixels = masks.shape
    taken = np.unique(masks.rows.astype(np.int64) * (pixels + _GAP_PX) + masks.cols)
    apart = np.flatnonzero(np.diff(taken) > _GAP_PX)
    first = taken[np.concatenate([[0], apart + 1]).astype(int)[: len(taken)]]
    last = taken[np.concatenate([apart, [len(taken) - 1]]).astype(int)[: len(taken)]]
    row, start = np.divmod(first, pixels + _GAP_PX)
    stop = last % (pixels + _GAP_PX) + 1
    index = np.searchsorted(row, np.arange(lines + 2))
    return index, start.astype(np.uint32), stop.astype(np.uint32)
