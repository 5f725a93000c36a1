"""Finds cell bodies: bright spots that are wider than a neurite."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import label, maximum_filter, sum_labels

from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array
from rtrecon.dish.image_filters import average_blocks, open_square, smooth
from rtrecon.dish.spurs import EIGHT_NEIGHBORS

_MIN_STRENGTH, _MIN_THRESHOLD, _DIM_THRESHOLD = 3.0, 4.0, 2.8  # sigmas of noise
_OTSU_SHARE, _N_BINS, _MIN_PIXELS = 0.45, 128, 12
_MAX_RADII, _MIN_AREA_SHARE = 4.0, 0.8
_EDGE_SHARE = 0.5  # of a body's brightness, at its edge
_MIN_BRIGHTNESS_SHARE = 0.35  # of the median body


@dataclass(frozen=True)
class FoundBodies:
    """The bodies of one picture. labels: int32 (lines, pixels), 0 = none, else 1..n.

    centers: (n, 2) y, x. areas: (n,) px. brightness: (n,) mean, sigmas. depths: (n,)
    largest distance of a pixel to the edge.
    """

    labels: Array
    centers: Array
    areas: Array
    brightness: Array
    depths: Array

    def __len__(self) -> int:
        return len(self.centers)

    def select(self, is_selected: Array) -> FoundBodies:
        """Return the bodies for which the mask (n,) is True, numbered anew."""
        numbers = np.zeros(len(self) + 1, np.int32)
        numbers[1:][is_selected] = np.arange(1, is_selected.sum() + 1)
        return FoundBodies(
            numbers[self.labels],
            self.centers[is_selected],
            self.areas[is_selected],
            self.brightness[is_selected],
            self.depths[is_selected],
        )


def find_bodies(flat: Array, min_radius_px: float, sensitivity: float) -> FoundBodies:
    """Return the bodies of a flattened picture, float32 (lines, pixels).

    min_radius_px: of the smallest body. Works on pixels of 2 x 2: opening removes what
    is thinner than a body, peaks of the distance to the edge part bodies that touch.
    """
    half = smooth(average_blocks(flat, 2), 0.7)
    radius = min_radius_px / 2
    opened = open_square(half, max(1, round(0.8 * radius - 0.5)))
    bright = opened[opened > _MIN_STRENGTH]
    if len(bright) < _MIN_PIXELS:
        return _describe_bodies(np.zeros(half.shape, np.int32), half, flat.shape)
    threshold = max(_MIN_THRESHOLD, _OTSU_SHARE * _split_by_otsu(bright)) / sensitivity
    mask = _add_dim_bodies(opened > threshold, opened > _DIM_THRESHOLD / sensitivity)
    labels = _part_bodies(mask, radius)
    _cut_rims(labels, half)
    found = _describe_bodies(labels, half, flat.shape)
    return found.select(_are_plausible(found, min_radius_px))


def _add_dim_bodies(bright: Array, dim: Array) -> Array:
    """Return the bright mask with those parts of the dim one that hold nothing bright.

    A lower threshold for all would join bright bodies that lie side by side.
    """
    labels, n_parts = label(dim, EIGHT_NEIGHBORS)
    holds_bright = np.zeros(n_parts + 1, bool)
    holds_bright[labels[bright]] = True
    return np.asarray(bright | (dim & ~holds_bright[labels]))


def _are_plausible(found: FoundBodies, min_radius_px: float) -> Array:
    smallest = _MIN_AREA_SHARE * np.pi * min_radius_px**2
    largest = np.pi * (_MAX_RADII * min_radius_px) ** 2
    is_plausible = (found.areas > smallest) & (found.areas < largest)
    if is_plausible.sum() > 3:
        usual = np.median(found.brightness[is_plausible])
        is_plausible &= found.brightness > _MIN_BRIGHTNESS_SHARE * usual
    return np.asarray(is_plausible)


def _cut_rims(labels: Array, half: Array) -> None:
    """Take from each body what is less than half as bright as it is, in place.

    One threshold for all bodies would make bright ones too large.
    """
    numbers = np.arange(1, labels.max(initial=0) + 1)
    if not len(numbers):
        return
    peaks = np.concatenate([[0], _find_peaks(half, labels, len(numbers))])
    labels[half < _EDGE_SHARE * peaks[labels]] = 0


def _find_peaks(image: Array, labels: Array, n: int) -> Array:
    """Return (n,) the brightness that a tenth of each body's pixels exceed."""
    rows, cols = np.nonzero(labels)
    of, values = labels[rows, cols], image[rows, cols]
    order = np.lexsort((values, of))
    ends = np.cumsum(np.bincount(of, minlength=n + 1))[1:]
    counts = np.bincount(of, minlength=n + 1)[1:]
    at = np.maximum(ends - 1 - counts // 10, 0)
    peaks = np.zeros(n)
    has_pixels = counts > 0
    peaks[has_pixels] = values[order][at[has_pixels]]
    return peaks


def _part_bodies(mask: Array, radius: float) -> Array:
    """Return int32 labels: one body for each peak of the distance to the edge."""
    distance = measure_distance(mask)
    hill = smooth(distance, 0.75)
    reach = max(3, 2 * round(radius) + 1)
    is_peak = (hill == maximum_filter(hill, reach)) & (distance > radius - 0.5)
    markers, _ = label(is_peak, EIGHT_NEIGHBORS)
    labels = markers.astype(np.int32)
    _flood(labels, mask, hill)
    return labels


def _describe_bodies(labels: Array, half: Array, shape: tuple[int, ...]) -> FoundBodies:
    n = int(labels.max(initial=0))
    numbers = np.arange(1, n + 1)
    rows, cols = np.nonzero(labels)
    of = labels[rows, cols]
    counts = np.maximum(np.bincount(of, minlength=n + 1)[1:], 1)
    # A half pixel k covers the pixels 2 k and 2 k + 1.
    y = np.bincount(of, 2 * rows + 0.5, n + 1)[1:] / counts
    x = np.bincount(of, 2 * cols + 0.5, n + 1)[1:] / counts
    brightness = np.asarray(sum_labels(half, labels, numbers)).reshape(-1) / counts
    distance = measure_distance(labels > 0)
    depths = np.zeros(n + 1)
    np.maximum.at(depths, of, distance[rows, cols])
    full = np.zeros(shape, np.int32)
    full[: 2 * labels.shape[0], : 2 * labels.shape[1]] = np.kron(
        labels, np.ones((2, 2), np.int32)
    )
    return FoundBodies(
        full, np.column_stack([y, x]), 4.0 * counts, brightness, 2 * depths[1:]
    )


def _split_by_otsu(values: Array) -> float:
    """Return the value that parts two groups best (Otsu 1979)."""
    counts, edges = np.histogram(values, _N_BINS)
    centers = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts), np.cumsum(counts * centers)
    apart = (sums[-1] * below - below[-1] * sums) ** 2
    return float(centers[(apart / np.maximum(below * (below[-1] - below), 1)).argmax()])


def measure_distance(mask: Array) -> Array:
    """Return float32: about the distance in px to the nearest pixel that is not set.

    A chamfer distance of steps 1 and 1.414; outside of the image counts as set.
    """
    distance = np.where(mask, np.float32(1e6), np.float32(0))
    _spread_distance(distance)
    return distance


@jit_kernel
def _spread_distance(distance: Array) -> None:
    n_rows, n_cols = distance.shape
    diagonal = np.float32(1.41421356)
    one = np.float32(1)
    for row in range(n_rows):
        for col in range(n_cols):
            best = distance[row, col]
            if best == 0:
                continue
            if row > 0:
                best = min(best, distance[row - 1, col] + one)
                if col > 0:
                    best = min(best, distance[row - 1, col - 1] + diagonal)
                if col < n_cols - 1:
                    best = min(best, distance[row - 1, col + 1] + diagonal)
            if col > 0:
                best = min(best, distance[row, col - 1] + one)
            distance[row, col] = best
    for row in range(n_rows - 1, -1, -1):
        for col in range(n_cols - 1, -1, -1):
            best = distance[row, col]
            if best == 0:
                continue
            if row < n_rows - 1:
                best = min(best, distance[row + 1, col] + one)
                if col > 0:
                    best = min(best, distance[row + 1, col - 1] + diagonal)
                if col < n_cols - 1:
                    best = min(best, distance[row + 1, col + 1] + diagonal)
            if col < n_cols - 1:
                best = min(best, distance[row, col + 1] + one)
            distance[row, col] = best


@jit_kernel
def _flood(labels: Array, mask: Array, hill: Array) -> None:
    """Give each pixel of the mask the label of the peak down from which it is reached.

    A watershed: the highest pixel that borders a label takes it first.
    """
    n_rows, n_cols = labels.shape
    heap = [(np.float32(0), np.int64(0))]
    heap.pop()
    for row in range(n_rows):
        for col in range(n_cols):
            if labels[row, col]:
                heap.append((-hill[row, col], np.int64(row * n_cols + col)))
    heapq.heapify(heap)
    while len(heap):
        _, i = heapq.heappop(heap)
        row, col = i // n_cols, i % n_cols
        for y in range(max(0, row - 1), min(n_rows, row + 2)):
            for x in range(max(0, col - 1), min(n_cols, col + 2)):
                if mask[y, x] and not labels[y, x]:
                    labels[y, x] = labels[row, col]
                    heapq.heappush(heap, (-hill[y, x], np.int64(y * n_cols + x)))
