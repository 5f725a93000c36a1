"""What to do with pixels that belong to several cells: leave them out, or demix."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array

from rtrecon.core.types import Array
from rtrecon.imaging.traces import kernels
from rtrecon.rois.roi_set import RoiSet, from_pixels

# Each sweep removes most of what is left of a neighbour; cells that share half of
# their pixels need about this many to be told apart to 1 %.
_SWEEPS = 8


def without_shared(rois: RoiSet) -> tuple[RoiSet, Array]:
    """Return the masks without the pixels that two or more of them hold.

    And which cells, (n,) bool, have no pixel of their own: those keep all they had.
    """
    flat = rois.rows.astype(np.int64) * rois.shape[1] + rois.cols
    holders = np.bincount(flat, minlength=rois.shape[0] * rois.shape[1])
    own = [
        holders[rows.astype(np.int64) * rois.shape[1] + cols] == 1
        for rows, cols, _ in rois.pixels()
    ]
    hidden = np.array([len(mine) > 0 and not mine.any() for mine in own], bool)
    kept = [
        (rows[mine], cols[mine], weights[mine]) if mine.any() else (rows, cols, weights)
        for mine, (rows, cols, weights) in zip(own, rois.pixels(), strict=True)
    ]
    return from_pixels(rois.ids, rois.shape, kept, rois.planes), hidden


class Demixer:
    """Takes from each cell what overlapping cells put into it, frame by frame.

    An image is taken to be each cell's brightness above its surroundings times its
    mask, added up: least squares, solved by Gauss-Seidel sweeps over those that
    overlap. Cells that overlap with none are not touched.
    """

    def __init__(self, rois: RoiSet) -> None:
        shares = _shares(rois)
        self._indptr = shares.indptr.astype(np.int64)
        self._index = shares.indices.astype(np.uint32)
        self._shares = shares.data.astype(np.float32)
        self._above = np.empty(len(rois), np.float32)

    def apply(self, cell: Array, neuropil: Array) -> None:
        """Change cell, (n,) float32 in counts, in place; neuropil stays as it is."""
        if len(self._index):
            kernels.demix(
                neuropil,
                (self._indptr, self._index, self._shares),
                _SWEEPS,
                self._above,
                cell,
            )


def _shares(rois: RoiSet) -> csr_array:
    """(n, n): how much of one unit of cell j is read as cell i; nothing on i = j."""
    flat = rois.rows.astype(np.int64) * rois.shape[1] + rois.cols
    size = len(rois), rois.shape[0] * rois.shape[1]
    masks = csr_array((rois.weights.astype(float), flat, rois.indptr), shape=size)
    energy = masks.multiply(masks).sum(1)
    scale = np.divide(1.0, energy, where=energy > 0, out=np.zeros(len(rois)))
    shares = masks @ (diags_array(scale) @ masks).T
    shares = csr_array(shares - diags_array(shares.diagonal()))
    shares.eliminate_zeros()
    return shares
