"""From a registered image to one number per cell and one per annulus."""

from __future__ import annotations

import numpy as np

from rtrecon.acquire import kernels
from rtrecon.rois import RoiSet
from rtrecon.wire import Array


class TraceExtractor:
    """Reads weighted means of cells and plain means of annuli from images.

    rois and annuli: n masks each on one field, in one order. Cells may overlap: a
    shared pixel counts for both.
    """

    def __init__(self, rois: RoiSet, annuli: RoiSet) -> None:
        if rois.shape != annuli.shape or len(rois) != len(annuli):
            raise ValueError(
                f"{len(rois)} cells on {rois.shape} do not go with {len(annuli)} "
                f"annuli on {annuli.shape}: make the annuli from these cells"
            )
        self.shape = rois.shape
        self._indptr = rois.indptr
        self._index = (rois.rows.astype(np.int64) * rois.shape[1] + rois.cols).astype(
            np.uint32
        )
        self._weights = rois.weights
        self._runs = _runs_down(annuli)
        self._counts = np.diff(annuli.indptr).astype(np.float32)
        self._sums = np.empty((rois.shape[0] + 1, rois.shape[1]), np.float32)

    def extract(self, registered: Array, cell_out: Array, neuropil_out: Array) -> None:
        """Fill cell_out and neuropil_out, (n,) float32 in counts; NaN if no pixel.

        registered: (lines, pixels) float32, contiguous.
        """
        if registered.shape != self.shape:
            raise ValueError(
                f"an image of shape {registered.shape} does not fit masks made on a "
                f"field of {self.shape}"
            )
        kernels.weighted_sums(
            registered.reshape(-1), self._indptr, self._index, self._weights, cell_out
        )
        kernels.sums_down(registered, self._sums)
        kernels.run_means(
            self._sums.reshape(-1), *self._runs, self._counts, neuropil_out
        )


def _runs_down(masks: RoiSet) -> tuple[Array, Array, Array]:
    """(indptr, starts, stops) of unbroken runs of pixels down the columns.

    starts and stops are flat uint32 indices into the output of `kernels.sums_down`:
    a run's sum is two reads, however long it is.
    """
    lines, pixels = masks.shape
    owner = np.repeat(np.arange(len(masks)), np.diff(masks.indptr))
    # One line more than there is, so that no run continues into the next column.
    order = (owner * pixels + masks.cols) * (lines + 1) + masks.rows
    order = np.sort(order)
    breaks = np.flatnonzero(np.diff(order) != 1) + 1
    first = order[np.concatenate([[0], breaks]).astype(int)[: len(order)]]
    last = order[np.concatenate([breaks, [len(order)]]).astype(int)[: len(order)] - 1]
    column, start = np.divmod(first, lines + 1)
    run_owner, col = np.divmod(column, pixels)
    stop = last % (lines + 1) + 1
    counts = np.bincount(run_owner, minlength=len(masks))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    starts, stops = start * pixels + col, stop * pixels + col
    return indptr, starts.astype(np.uint32), stops.astype(np.uint32)
