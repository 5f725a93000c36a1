"""From a registered image to one number per cell and one per annulus."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.traces import kernels
from rtrecon.imaging.traces.run_length_masks import Pixels, RunSums
from rtrecon.rois.roi_set import RoiSet


class TraceExtractor:
    """Reads weighted means of cells and plain means of annuli from images.

    rois and annuli: n masks each on one field, in one order. Cells may overlap: a
    shared pixel counts for both. Cells whose pixels all weigh the same cost a fraction
    of others.
    """

    def __init__(self, rois: RoiSet, annuli: RoiSet) -> None:
        if rois.shape != annuli.shape or len(rois) != len(annuli):
            raise ValueError(
                f"{len(rois)} cells on {rois.shape} do not go with {len(annuli)} "
                f"annuli on {annuli.shape}: make the annuli from these cells"
            )
        self.shape = rois.shape
        even = _even(rois)
        self._sums = np.empty(2 * len(rois), np.float32)
        self._plain = RunSums(_cells_and_rings(rois, even, annuli))
        counts = np.concatenate([np.diff(rois.indptr), np.diff(annuli.indptr)])
        with np.errstate(divide="ignore"):  # an empty mask: 0 times infinity is NaN
            self._shares = (1.0 / counts).astype(np.float32)
        self._arrange_uneven(rois, even)

    def extract(self, registered: Array, cell_out: Array, neuropil_out: Array) -> None:
        """Fill cell_out and neuropil_out, (n,) float32 in counts; NaN if no pixel.

        registered: (lines, pixels) float32, contiguous.
        """
        if registered.shape != self.shape:
            raise ValueError(
                f"an image of shape {registered.shape} does not fit masks made on a "
                f"field of {self.shape}"
            )
        self._plain.sums(registered, self._sums)
        kernels.means(self._sums, self._shares, cell_out, neuropil_out)
        kernels.weighted_sums(
            registered.reshape(-1),
            self._uneven,
            self._indptr,
            self._index,
            self._weights,
            cell_out,
        )

    def _arrange_uneven(self, rois: RoiSet, even: Array) -> None:
        counts = np.diff(rois.indptr)
        kept = np.repeat(~even, counts)
        flat = rois.rows.astype(np.int64) * rois.shape[1] + rois.cols
        self._uneven = np.flatnonzero(~even)
        self._indptr = np.concatenate([[0], np.cumsum(counts[~even])])
        self._index = flat[kept].astype(np.uint32)
        self._weights = rois.weights[kept]


def _even(rois: RoiSet) -> Array:
    """Which cells' pixels all weigh the same, (n,) bool; so do those of none."""
    return np.array(
        [not len(weights) or np.ptp(weights) == 0 for *_, weights in rois.pixels()],
        bool,
    )


def _cells_and_rings(rois: RoiSet, even: Array, annuli: RoiSet) -> Pixels:
    """The cells that weigh evenly as masks 0..n - 1, the rings as n..2 n - 1."""
    n = len(rois)
    owner = np.repeat(np.arange(n), np.diff(rois.indptr))
    kept = even[owner] if n else np.zeros(0, bool)
    ring_owner = n + np.repeat(np.arange(n), np.diff(annuli.indptr))
    return Pixels(
        2 * n,
        rois.shape,
        np.concatenate([owner[kept], ring_owner]),
        np.concatenate([rois.rows[kept], annuli.rows]),
        np.concatenate([rois.cols[kept], annuli.cols]),
    )
