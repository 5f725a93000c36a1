"""The ring of tissue around each cell, whose signal leaks into the cell's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt

from rtrecon.config import TracesSettings
from rtrecon.core.types import Array
from rtrecon.imaging.traces.overlap import without_shared
from rtrecon.rois.roi_set import RoiSet, from_pixels

# Enough pixels that the ring adds little noise to the cell it is subtracted from.
_ENOUGH_PX = 100
# Where neighbours take the ring's place it may widen, but not leave the neighbourhood.
_WIDEST = 3


@dataclass(frozen=True)
class Masks:
    """Cells and the ring around each, same ids and order; made once, used for days.

    hidden: (n,) bool, cells that had to keep pixels they share, for they have no other.
    """

    cells: RoiSet
    rings: RoiSet
    hidden: Array | None = None


def with_rings(rois: RoiSet, settings: TracesSettings) -> Masks:
    """Return the cells, as they are to be read, with their rings; 0.5 ms per cell."""
    rings = annuli(rois, settings)
    if settings.overlap != "exclude":
        return Masks(rois, rings)
    cells, hidden = without_shared(rois)
    return Masks(cells, rings, hidden)


def annuli(rois: RoiSet, settings: TracesSettings) -> RoiSet:
    """Return one ring per cell, same ids and order, every pixel weighing the same.

    A ring begins `neuropil_inner_px` away from its cell, is `neuropil_outer_px` wide
    (up to three times that, to hold 100 pixels), and leaves out every cell's pixels.
    It may be empty: for an empty mask, or where neighbours leave no room.
    """
    occupied = np.zeros(rois.shape, bool)
    occupied[rois.rows, rois.cols] = True
    rings = []
    for first, last in zip(rois.indptr, rois.indptr[1:], strict=False):
        cell = rois.rows[first:last], rois.cols[first:last]
        rows, cols = _ring(cell, occupied, settings)
        rings.append((rows, cols, np.ones(len(rows), np.float32)))
    return from_pixels(rois.ids, rois.shape, rings)


def _ring(
    cell: tuple[Array, Array], occupied: Array, settings: TracesSettings
) -> tuple[Array, Array]:
    rows, cols = cell
    if not len(rows):
        return rows, cols
    inner, width = settings.neuropil_inner_px, settings.neuropil_outer_px
    reach = inner + _WIDEST * width
    top, left = max(rows.min() - reach, 0), max(cols.min() - reach, 0)
    around = np.s_[top : rows.max() + reach + 1, left : cols.max() + reach + 1]
    outside = np.ones_like(occupied[around])
    outside[rows - top, cols - left] = False
    distance = distance_transform_edt(outside)
    free = (distance > inner) & (distance <= reach) & ~occupied[around]
    outer = max(inner + width, _reach_of_enough(distance[free]))
    ring_rows, ring_cols = np.nonzero(free & (distance <= outer))
    return ring_rows + top, ring_cols + left


def _reach_of_enough(distances: Array) -> float:
    """How far the nearest 100 pixels reach, or all of them where there are fewer."""
    if not len(distances):
        return 0.0
    enough = min(_ENOUGH_PX, len(distances))
    return float(np.partition(distances, enough - 1)[enough - 1])
