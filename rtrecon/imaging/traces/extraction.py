"""Trace extraction: one value per cell and one per neuropil mask from each image."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.traces import kernels
from rtrecon.imaging.traces.run_length_masks import MaskPixels, MaskSums
from rtrecon.rois.roi_set import RoiSet


class TraceExtractor:
    """Reads weighted means of cells and plain means of their neuropil from images.

    rois and neuropil: n masks each on one field, in one order. Cells may overlap: a
    shared pixel counts for both. Cells whose pixels have equal weights cost a fraction
    of the others.
    """

    def __init__(self, rois: RoiSet, neuropil: RoiSet) -> None:
        if rois.shape != neuropil.shape or len(rois) != len(neuropil):
            raise ValueError(
                f"{len(rois)} cells on {rois.shape} do not go with {len(neuropil)} "
                f"annuli on {neuropil.shape}: make the annuli from these cells"
            )
        self.shape = rois.shape
        is_uniform = _find_uniform_cells(rois)
        self._sums = np.empty(2 * len(rois), np.float32)
        self._mask_sums = MaskSums(_join_masks(rois, is_uniform, neuropil))
        counts = np.concatenate([np.diff(rois.indptr), np.diff(neuropil.indptr)])
        with np.errstate(divide="ignore"):  # an empty mask: 0 times infinity is NaN
            self._scales = (1.0 / counts).astype(np.float32)
        self._index_weighted_cells(rois, is_uniform)

    def extract_traces(
        self, registered: Array, cell_out: Array, neuropil_out: Array
    ) -> None:
        """Fill cell_out and neuropil_out, (n,) float32 in counts; NaN for empty masks.

        registered: (lines, pixels) float32, contiguous.
        """
        if registered.shape != self.shape:
            raise ValueError(
                f"an image of shape {registered.shape} does not fit masks made on a "
                f"field of {self.shape}"
            )
        self._mask_sums.compute_sums(registered, self._sums)
        kernels.scale_sums(self._sums, self._scales, cell_out, neuropil_out)
        kernels.sum_weighted_masks(
            registered.reshape(-1),
            self._weighted_cells,
            self._indptr,
            self._index,
            self._weights,
            cell_out,
        )

    def _index_weighted_cells(self, rois: RoiSet, is_uniform: Array) -> None:
        """Prepare the pixels and weights of cells whose weights differ."""
        counts = np.diff(rois.indptr)
        selected = np.repeat(~is_uniform, counts)
        flat = rois.rows.astype(np.int64) * rois.shape[1] + rois.cols
        self._weighted_cells = np.flatnonzero(~is_uniform)
        self._indptr = np.concatenate([[0], np.cumsum(counts[~is_uniform])])
        self._index = flat[selected].astype(np.uint32)
        self._weights = rois.weights[selected]


def _find_uniform_cells(rois: RoiSet) -> Array:
    """Return which cells have pixels of equal weight, or none; (n,) bool."""
    weights = [weights for *_, weights in rois.list_pixels()]
    return np.array([not len(w) or np.ptp(w) == 0 for w in weights], bool)


def _join_masks(rois: RoiSet, is_uniform: Array, neuropil: RoiSet) -> MaskPixels:
    """Return uniform cells as masks 0..n - 1, and neuropil as masks n..2 n - 1."""
    n = len(rois)
    owner = np.repeat(np.arange(n), np.diff(rois.indptr))
    selected = is_uniform[owner] if n else np.zeros(0, bool)
    neuropil_owner = n + np.repeat(np.arange(n), np.diff(neuropil.indptr))
    return MaskPixels(
        2 * n,
        rois.shape,
        np.concatenate([owner[selected], neuropil_owner]),
        np.concatenate([rois.rows[selected], neuropil.rows]),
        np.concatenate([rois.cols[selected], neuropil.cols]),
    )
