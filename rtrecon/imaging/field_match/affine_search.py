"""Find the affine map that takes the stored image of a field to today's image.

First every rotation, scale and shift in range is tried on small images. Then the best
map is refined by least squares, on small images and on full ones. Both steps compare
local contrast: what remains of an image when illumination, brightness and the few very
bright neurons are taken out.

A map is a (2, 3) array: matrix @ (row, col, 1) is where a pixel of the stored image
lies in today's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil

import numpy as np
from scipy import fft
from scipy.ndimage import affine_transform, gaussian_filter

from rtrecon.config import FieldMatchSettings
from rtrecon.core.types import Array

# In pixels of each scale: finer detail is mostly photon noise, broader structure is
# mostly uneven illumination.
_FINE_SIGMA_PX, _BROAD_SIGMA_PX = 1.2, 6.0
# Contrast is clipped at this many of its local standard deviations.
_MAX_CONTRAST = 3.0
# Fraction of the usual contrast that is added everywhere, because dark corners would
# otherwise show only noise.
_CONTRAST_FLOOR = 0.3
# The search needs an image on which single neurons can just be distinguished.
_SEARCH_SIDE_PX = 192
# Half a step moves the middle of the small image's edges by 1 to 2 px, which is less
# than a neuron; steps are then halved until the refinement converges.
_STEPS = np.array([2.5, 0.03])  # degrees, scale
_HALVINGS = 2
# The refinement ends when the corners move by less, or after so many steps.
_CONVERGED_PX, _MAX_STEPS = 0.01, 10
# A map that leaves less of the stored image inside today's says nothing.
_MIN_OVERLAP = 0.2
_EPSILON = 1e-30


def find_affine_map(
    today: Array, stored: Array, limits: FieldMatchSettings
) -> tuple[Array, float]:
    """Return the map of stored's pixels to today's, and its correlation.

    The correlation is that of local contrast where the images overlap. There is always
    a map; the correlation shows whether it means anything.
    """
    factor = ceil(max(*today.shape, *stored.shape) / _SEARCH_SIDE_PX)
    today_small = compute_local_contrast(_shrink(today, factor))
    stored_small = compute_local_contrast(_shrink(stored, factor))
    matrix = _search_grid(today_small, stored_small, limits)
    matrix, correlation = refine_map(today_small, stored_small, matrix)
    if factor == 1:
        return matrix, correlation
    matrix = np.column_stack([matrix[:, :2], factor * matrix[:, 2]])
    return refine_map(
        compute_local_contrast(today), compute_local_contrast(stored), matrix
    )


def compute_local_contrast(image: Array) -> Array:
    """Return the (lines, pixels) image, band-passed, over its local s.d.; float32.

    It does not depend on the brightness, contrast and offset of the image.
    """
    image = np.asarray(image, np.float32)
    band = gaussian_filter(image, _FINE_SIGMA_PX)
    band -= gaussian_filter(image, _BROAD_SIGMA_PX)
    local_sd = np.sqrt(gaussian_filter(band**2, 2 * _BROAD_SIGMA_PX))
    usual = np.sqrt(np.mean(band**2)) + np.float32(_EPSILON)
    contrast = band / (local_sd + _CONTRAST_FLOOR * usual)
    return np.clip(contrast, -_MAX_CONTRAST, _MAX_CONTRAST)


def warp_image(image: Array, matrix: Array, shape: tuple[int, ...]) -> Array:
    """Return image at matrix @ (row, col, 1) of every pixel of `shape`; NaN outside."""
    return affine_transform(
        np.asarray(image, np.float32),
        matrix[:, :2],
        matrix[:, 2],
        output_shape=shape,
        order=1,
        cval=np.nan,
    )


def invert_map(matrix: Array) -> Array:
    """Return the map from today's image back to the stored one."""
    return np.linalg.inv(np.vstack([matrix, (0, 0, 1)]))[:2]


def refine_map(today: Array, stored: Array, matrix: Array) -> tuple[Array, float]:
    """Return the map near `matrix` with the best correlation of local contrast.

    Gauss-Newton: the contrast of the stored image is fitted by today's, moved, by a
    constant, and by the change that a small affine change of the map would make. Also
    returns the correlation; 0 where there is no overlap.
    """
    to_centered, changes = _compute_map_changes(stored)
    ends = corner_points(stored.shape)
    best, best_correlation = matrix, 0.0
    for _ in range(_MAX_STEPS):
        moved = warp_image(today, matrix, stored.shape).ravel()
        is_inside = np.isfinite(moved)
        if is_inside.mean() < _MIN_OVERLAP:
            break
        correlation = _correlate(moved[is_inside], stored.ravel()[is_inside])
        if correlation > best_correlation:
            best, best_correlation = matrix, correlation
        regressors = [np.where(is_inside, moved, 0), is_inside, changes * is_inside]
        design = np.vstack(regressors)
        weights = np.linalg.lstsq(design @ design.T, design @ stored.ravel())[0]
        change = np.eye(3)
        change[:2] -= weights[2:].reshape(2, 3) @ to_centered
        step = matrix @ np.linalg.inv(change) - matrix
        matrix = matrix + step
        if np.abs(step @ ends).max() < _CONVERGED_PX:
            break
    return best, best_correlation


def corner_points(shape: tuple[int, ...]) -> Array:
    """Return (row, col, 1) of the four corner pixels, (3, 4)."""
    bottom, right = shape[0] - 1, shape[1] - 1
    points = [(0, 0, 1), (0, right, 1), (bottom, 0, 1), (bottom, right, 1)]
    return np.array(points, float).T


def make_rotation_map(
    rotation_deg: float, scale: float, shape: tuple[int, ...], today: tuple[int, ...]
) -> Array:
    """Return the map that rotates clockwise (as seen) and scales about the middle.

    shape, today: (lines, pixels) of the stored image and of today's.
    """
    angle = np.deg2rad(rotation_deg)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    middle, middle_today = (np.array(shape) - 1) / 2, (np.array(today) - 1) / 2
    return np.column_stack([scale * turn, middle_today - scale * turn @ middle])


def _correlate(one: Array, other: Array) -> float:
    one, other = one - one.mean(), other - other.mean()
    norms = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / (norms + np.float32(_EPSILON)))


def _compute_map_changes(image: Array) -> tuple[Array, Array]:
    """Return how the image changes with each of six small changes of the map.

    Returns (3, 3), from (row, col, 1) to coordinates of about -1..1, which keep the
    numbers of similar size; and (6, lines * pixels) float32, the image's change per
    unit of each.
    """
    lines, pixels = image.shape
    half = max(lines, pixels) / 2
    to_centered = np.array([(1, 0, -lines / 2), (0, 1, -pixels / 2), (0, 0, half)])
    to_centered = to_centered / half
    rows, cols = np.indices(image.shape)
    points = np.tensordot(to_centered, np.stack([rows, cols, np.ones_like(rows)]), 1)
    slopes = np.stack([np.gradient(image, axis=0), np.gradient(image, axis=1)])
    changes = slopes[:, None] * points.astype(np.float32)
    return to_centered, changes.reshape(6, -1)


def _shrink(image: Array, factor: int) -> Array:
    """Return every `factor`-th pixel of the image, blurred so that all count."""
    image = np.asarray(image, np.float32)
    if factor == 1:
        return image
    return gaussian_filter(image, 0.5 * factor)[::factor, ::factor]


def _search_grid(today: Array, stored: Array, limits: FieldMatchSettings) -> Array:
    """Return the best map of those in range that rotate, scale and shift."""
    search = _ShiftSearch(today, stored, limits.max_shift_fraction)
    reach = np.array([limits.max_rotation_deg, limits.max_scale - 1])
    counts = np.ceil(reach / _STEPS).astype(int).tolist()
    grid = product(*(range(-n, n + 1) for n in counts))
    best = _best_candidate(search, [_STEPS * node + (0, 1) for node in grid])
    for halving in range(1, _HALVINGS + 1):
        nearby = product((-1, 0, 1), repeat=2)
        step = _STEPS / 2**halving
        best = _best_candidate(search, [best.turn_and_scale + step * n for n in nearby])
    return best.matrix


@dataclass(frozen=True)
class _Candidate:
    """A map tried. turn_and_scale: rotation in degrees, scale."""

    score: float
    turn_and_scale: Array
    matrix: Array


class _ShiftSearch:
    """Finds the best shift for a rotation and scale, by Fourier transform.

    max_shift_fraction: largest shift, as a fraction of each side of today's image.
    """

    def __init__(self, today: Array, stored: Array, max_shift_fraction: float) -> None:
        self._stored = stored
        self._shape = today.shape
        self._reach = [round(max_shift_fraction * side) for side in today.shape]
        self._size = [
            fft.next_fast_len(side + reach, real=True)
            for side, reach in zip(today.shape, self._reach, strict=True)
        ]
        self._today = fft.rfft2(today, self._size)

    def find_shift(self, rotation_deg: float, scale: float) -> _Candidate:
        """Return the best shift; its score grows with overlap and correlation."""
        matrix = make_rotation_map(rotation_deg, scale, self._stored.shape, self._shape)
        moved = warp_image(self._stored, invert_map(matrix), self._shape)
        spectrum = self._today * fft.rfft2(np.nan_to_num(moved), self._size).conj()
        scores = fft.irfft2(spectrum, self._size)
        y, x = self._reach
        in_range = np.roll(scores, (y, x), (0, 1))[: 2 * y + 1, : 2 * x + 1]
        row, col = divmod(int(in_range.argmax()), in_range.shape[1])
        matrix[:, 2] += row - y, col - x
        score = float(in_range[row, col])
        return _Candidate(score, np.array([rotation_deg, scale]), matrix)


def _best_candidate(search: _ShiftSearch, nodes: list[Array]) -> _Candidate:
    """Return the best of the maps with these rotations and scales."""
    candidates = (search.find_shift(*node) for node in nodes)
    return max(candidates, key=lambda candidate: candidate.score)
