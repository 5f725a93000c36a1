"""Regions of interest: which pixels belong to which neuron, in what order."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array

_ROUNDING = 1e-5  # of float32 sums over a mask's pixels


@dataclass(frozen=True)
class RoiSet:
    """Weighted masks of n neurons on one field, ids and order as they were given.

    ids: (n,) int64. shape: (lines, pixels) of the field. indptr: (n + 1,) int64;
    neuron i owns entries indptr[i]:indptr[i + 1] of rows, cols (int32, px) and
    weights (float32, summing to 1 per neuron that has any pixel). planes: (n,) int32,
    the plane of a volume that each neuron lies in, from 0.
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

    def centers(self) -> Array:
        """(n, 2) float32: weighted centre (row, col) in px; NaN for an empty mask."""
        centers = np.full((len(self), 2), np.nan, np.float32)
        for i in range(len(self)):
            own = slice(self.indptr[i], self.indptr[i + 1])
            if own.start < own.stop:
                centers[i, 0] = np.dot(self.rows[own], self.weights[own])
                centers[i, 1] = np.dot(self.cols[own], self.weights[own])
        return centers

    def pixels(self) -> list[tuple[Array, Array, Array]]:
        """Return each neuron's (rows, cols, weights), as `from_pixels` takes them."""
        bounds = zip(self.indptr, self.indptr[1:], strict=False)
        return [(self.rows[a:b], self.cols[a:b], self.weights[a:b]) for a, b in bounds]

    def transposed(self) -> RoiSet:
        """Return the same neurons with rows and columns exchanged, field included."""
        lines, pixels = self.shape
        return replace(self, shape=(pixels, lines), rows=self.cols, cols=self.rows)

    def subset(self, places: Array) -> RoiSet:
        """Return the neurons at these places, in the order of the places."""
        pixels = self.pixels()
        chosen = [pixels[place] for place in places]
        return from_pixels(self.ids[places], self.shape, chosen, self.planes[places])


def on_a_line(ids: Array) -> RoiSet:
    """Build a set for units, which have no masks: a pixel of one line each."""
    line, weight = np.zeros(1, np.int32), np.ones(1, np.float32)
    places = [(line, np.array([place]), weight) for place in range(len(ids))]
    return from_pixels(ids, (1, len(ids)), places)


def from_pixels(
    ids: Array,
    shape: tuple[int, int],
    pixels: list[tuple[Array, Array, Array]],
    planes: Array | None = None,
) -> RoiSet:
    """Build a set from each neuron's (rows, cols, weights), all of plane 0 if not told.

    Weights are scaled to sum to 1. An empty mask is kept, with its id. UserErrors that
    name the neuron: an id given twice, weights that cannot be scaled, a pixel outside
    the field, which means that the masks belong elsewhere.
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
        rows=_join([p[0] for p in pixels], np.int32),
        cols=_join([p[1] for p in pixels], np.int32),
        weights=_join([_scaled(p[2]) for p in pixels], np.float32),
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
            "each needs one of its own"
        )


def _require_weights(roi_id: int, counts: tuple[int, int], weights: Array) -> None:
    if len({*counts, len(weights)}) > 1:
        raise UserError(
            f"ROI {roi_id} has {counts[0]} rows, {counts[1]} columns and "
            f"{len(weights)} weights; each pixel needs one of each"
        )
    total = float(np.sum(weights))
    if len(weights) and not 0 < total < np.inf:  # false for NaN too
        raise UserError(
            f"ROI {roi_id} has weights that sum to {total:g}; they have to be numbers "
            "whose sum is above 0"
        )


def _scaled(weights: Array) -> Array:
    total = float(np.sum(weights)) if len(weights) else 1.0
    # Scaled ones are left as they are, so that masks are written and read unchanged.
    scaled = weights if abs(total - 1) < _ROUNDING else weights / total
    return np.asarray(scaled, np.float32)


def _join(parts: list[Array], dtype: type) -> Array:
    return np.concatenate([np.empty(0), *parts]).astype(dtype)
