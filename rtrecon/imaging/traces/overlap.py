"""Pixels that belong to several cells: leave them out, or demix the cells."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, diags_array

from rtrecon.core.types import Array
from rtrecon.imaging.traces import kernels
from rtrecon.rois.roi_set import RoiSet, build_roi_set

# Each sweep removes most of what remains of a neighbour; cells that share half of
# their pixels need about this many to be separated to 1 %.
_SWEEPS = 8


def exclude_shared_pixels(rois: RoiSet) -> tuple[RoiSet, Array]:
    """Return the masks without the pixels that belong to two or more of them.

    Also returns which cells, (n,) bool, share all their pixels: those keep them.
    """
    flat = rois.rows.astype(np.int64) * rois.shape[1] + rois.cols
    n_owners = np.bincount(flat, minlength=rois.shape[0] * rois.shape[1])
    unshared = [
        n_owners[rows.astype(np.int64) * rois.shape[1] + cols] == 1
        for rows, cols, _ in rois.list_pixels()
    ]
    is_hidden = np.array([len(u) > 0 and not u.any() for u in unshared], bool)
    remaining = [
        (rows[u], cols[u], weights[u]) if u.any() else (rows, cols, weights)
        for u, (rows, cols, weights) in zip(unshared, rois.list_pixels(), strict=True)
    ]
    return build_roi_set(rois.ids, rois.shape, remaining, rois.planes), is_hidden


class CellDemixer:
    """Removes from each cell the light of the cells that overlap it, frame by frame.

    The image is modelled as the sum of all masks, each times its cell's brightness
    above the surroundings. The least-squares solution is found by Gauss-Seidel sweeps
    over the overlapping cells. Cells without overlap are not changed.
    """

    def __init__(self, rois: RoiSet) -> None:
        crosstalk = _compute_crosstalk(rois)
        self._indptr = crosstalk.indptr.astype(np.int64)
        self._index = crosstalk.indices.astype(np.uint32)
        self._crosstalk = crosstalk.data.astype(np.float32)
        self._above = np.empty(len(rois), np.float32)

    def demix_cells(self, cell: Array, neuropil: Array) -> None:
        """Change cell, (n,) float32 in counts, in place; neuropil does not change."""
        if len(self._index):
            kernels.demix_cells(
                neuropil,
                (self._indptr, self._index, self._crosstalk),
                _SWEEPS,
                self._above,
                cell,
            )


def _compute_crosstalk(rois: RoiSet) -> csr_array:
    """Return (n, n): how much of one unit of cell j is read as cell i; diagonal 0."""
    flat = rois.rows.astype(np.int64) * rois.shape[1] + rois.cols
    size = len(rois), rois.shape[0] * rois.shape[1]
    masks = csr_array((rois.weights.astype(float), flat, rois.indptr), shape=size)
    energy = masks.multiply(masks).sum(1)
    scale = np.divide(1.0, energy, where=energy > 0, out=np.zeros(len(rois)))
    crosstalk = masks @ (diags_array(scale) @ masks).T
    crosstalk = csr_array(crosstalk - diags_array(crosstalk.diagonal()))
    crosstalk.eliminate_zeros()
    return crosstalk
