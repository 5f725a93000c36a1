"""Regions of interest: the pixels and weights of each neuron, in order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array

_SUM_TOLERANCE = 1e-5  # rounding of float32 sums over a mask's pixels


@dataclass(frozen=True)
class RoiSet:
    """Weighted masks of n neurons on one field.

    ids: (n,) int64, in the order of the file. shape: (lines, pixels) of the field.
    indptr: (n + 1,) int64; the pixels of neuron i are entries indptr[i]:indptr[i + 1]
    of rows, cols (int32, px) and weights (float32; they sum to 1 for each neuron that
    has a pixel). planes: (n,) int32, the plane of each neuron, from 0.
    """

    ids: Array
    shape: tuple[int, int]
    indptr: Array
    rows: Array
    cols: Array
    weights: Array
    planes: Array

    def __len__(self) -> int:
        return len(self.ids)

    def compute_centers(self) -> Array:
        """Return (n, 2) float32: centers (row, col) in px; NaN for an empty mask."""
        centers = np.full((len(self), 2), np.nan, np.float32)
        for i in range(len(self)):
            entries = slice(self.indptr[i], self.indptr[i + 1])
            if entries.start < entries.stop:
                centers[i, 0] = np.dot(self.rows[entries], self.weights[entries])
                centers[i, 1] = np.dot(self.cols[entries], self.weights[entries])
        return centers

    def list_pixels(self) -> list[tuple[Array, Array, Array]]:
        """Return each neuron's (rows, cols, weights), for `build_roi_set`."""
        bounds = zip(self.indptr, self.indptr[1:], strict=False)
        return [(self.rows[a:b], self.cols[a:b], self.weights[a:b]) for a, b in bounds]

    def transpose(self) -> RoiSet:
        """Return the same neurons with rows and columns exchanged, field included."""
        lines, pixels = self.shape
        return replace(self, shape=(pixels, lines), rows=self.cols, cols=self.rows)

    def select_neurons(self, indices: Array) -> RoiSet:
        """Return the neurons with these indices, in the order of the indices."""
        pixels = self.list_pixels()
        selected = [pixels[index] for index in indices]
        planes = self.planes[indices]
        return build_roi_set(self.ids[indices], self.shape, selected, planes)


def build_unit_roi_set(ids: Array) -> RoiSet:
    """Build a set for units, which have no masks: each gets one pixel of one line."""
    _require_distinct(ids)
    n_units = len(ids)
    return RoiSet(
        ids=np.asarray(ids, np.int64),
        shape=(1, n_units),
        indptr=np.arange(n_units + 1, dtype=np.int64),
        rows=np.zeros(n_units, np.int32),
        cols=np.arange(n_units, dtype=np.int32),
        weights=np.ones(n_units, np.float32),
        planes=np.zeros(n_units, np.int32),
    )


def build_roi_set(
    ids: Array,
    shape: tuple[int, int],
    pixels: list[tuple[Array, Array, Array]],
    planes: Array | None = None,
) -> RoiSet:
    """Build a set from each neuron's (rows, cols, weights); planes None = all plane 0.

    Weights are scaled to sum to 1. An empty mask stays, with its id. Raises UserError
    that names the neuron: an id given twice, weights that cannot be scaled, a pixel
    outside the field (then the masks belong to another field).
    """
    counts = [len(rows) for rows, _, _ in pixels]
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    _require_distinct(ids)
    for roi_id, (rows, cols, weights) in zip(ids, pixels, strict=True):
        _require_weights(int(roi_id), (len(rows), len(cols)), weights)
        _require_inside(int(roi_id), shape, rows, cols)
    return RoiSet(
        ids=np.asarray(ids, np.int64),
        shape=shape,
        indptr=indptr,
        rows=_concatenate([p[0] for p in pixels], np.int32),
        cols=_concatenate([p[1] for p in pixels], np.int32),
        weights=_concatenate([_normalize_weights(p[2]) for p in pixels], np.float32),
        planes=np.zeros(len(counts), np.int32) if planes is None else planes,
    )


def _require_inside(
    roi_id: int, shape: tuple[int, int], rows: Array, cols: Array
) -> None:
    if not len(rows):
        return
    low = (int(np.min(rows)), int(np.min(cols)))
    high = (int(np.max(rows)), int(np.max(cols)))
    if min(low) < 0 or high[0] >= shape[0] or high[1] >= shape[1]:
        raise UserError(
            f"ROI {roi_id} reaches pixel {high if min(low) >= 0 else low}, outside the "
            f"field of {shape[0]} lines x {shape[1]} pixels; are these masks of "
            "another field, or transposed?"
        )


def _require_distinct(ids: Array) -> None:
    found, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise UserError(
            f"{int(counts.max())} ROIs have the id {found[counts.argmax()]}; "
            "each ROI needs a different id"
        )


def _require_weights(roi_id: int, counts: tuple[int, int], weights: Array) -> None:
    if len({*counts, len(weights)}) > 1:
        raise UserError(
            f"ROI {roi_id} has {counts[0]} rows, {counts[1]} columns and "
            f"{len(weights)} weights; each pixel needs one of each"
        )
    total = float(np.sum(weights))
    if len(weights) and not 0 < total < np.inf:  # also False for NaN
        raise UserError(
            f"ROI {roi_id} has weights that sum to {total:g}; the sum must be a number "
            "above 0: correct it, remove it or mark it as no cell"
        )


def _normalize_weights(weights: Array) -> Array:
    total = float(np.sum(weights)) if len(weights) else 1.0
    # Weights that sum to 1 stay unchanged, so that written masks are read unchanged.
    scaled = weights if abs(total - 1) < _SUM_TOLERANCE else weights / total
    return np.asarray(scaled, np.float32)


def _concatenate(parts: list[Array], dtype: type) -> Array:
    return np.concatenate([np.empty(0), *parts]).astype(dtype)
