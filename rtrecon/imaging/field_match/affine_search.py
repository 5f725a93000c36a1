"""By which affine map does one image of a field go over into another?

First every rotation, scale and shift in range, on small images; then, from the best of
them, the map is refined by least squares on larger ones. Both work on local contrast:
what remains of an image when its illumination, its brightness and its few very bright
neurons have been taken out.

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

from rtrecon.config import FieldSettings
from rtrecon.core.types import Array

# In pixels of each scale: finer is mostly photon noise, broader mostly illumination.
_FINE_SIGMA_PX, _BROAD_SIGMA_PX = 1.2, 6.0
# Contrast beyond this, in its local standard deviation, is clipped.
_MOST_CONTRAST = 3.0
# Share of the usual contrast that is added where there is nearly none: dark corners
# would otherwise show their noise.
_FAINT = 0.3
# The search needs an image on which single neurons are still told apart, just.
_SEARCH_SIDE_PX = 192
# Half a step moves the middle of the small image's edges by 1 to 2 px, which is less
# than a neuron; then steps are halved until the refinement finds its way.
_STEPS = np.array([2.5, 0.03])  # degrees, scale
_HALVINGS = 2
# The refinement ends when the corners move by less, or does not converge.
_STILL_PX, _MOST_STEPS = 0.01, 10
# A map that leaves less of the stored image in today's says nothing.
_LEAST_OVERLAP = 0.2


def find_map(today: Array, stored: Array, limits: FieldSettings) -> tuple[Array, float]:
    """Return the map of stored's pixels to today's, and the correlation it reaches.

    The correlation is that of local contrast where the images overlap. There is
    always a map: whether it means anything, the correlation must tell.
    """
    factor = ceil(max(*today.shape, *stored.shape) / _SEARCH_SIDE_PX)
    today_small = local_contrast(_shrunk(today, factor))
    stored_small = local_contrast(_shrunk(stored, factor))
    matrix = _search(today_small, stored_small, limits)
    matrix, correlation = refine(today_small, stored_small, matrix)
    if factor == 1:
        return matrix, correlation
    matrix = np.column_stack([matrix[:, :2], factor * matrix[:, 2]])
    return refine(local_contrast(today), local_contrast(stored), matrix)


def local_contrast(image: Array) -> Array:
    """Return the (lines, pixels) image band-passed, over its local strength; float32.

    Free of units: brightness, contrast and offset of the image do not matter.
    """
    image = np.asarray(image, np.float32)
    band = gaussian_filter(image, _FINE_SIGMA_PX)
    band -= gaussian_filter(image, _BROAD_SIGMA_PX)
    strength = np.sqrt(gaussian_filter(band**2, 2 * _BROAD_SIGMA_PX))
    usual = np.sqrt(np.mean(band**2)) + np.float32(1e-30)
    return np.clip(band / (strength + _FAINT * usual), -_MOST_CONTRAST, _MOST_CONTRAST)


def warp(image: Array, matrix: Array, shape: tuple[int, ...]) -> Array:
    """Return image at matrix @ (row, col, 1) of every pixel of `shape`; NaN outside."""
    return affine_transform(
        np.asarray(image, np.float32),
        matrix[:, :2],
        matrix[:, 2],
        output_shape=shape,
        order=1,
        cval=np.nan,
    )


def inverse(matrix: Array) -> Array:
    """Return the map back."""
    return np.linalg.inv(np.vstack([matrix, (0, 0, 1)]))[:2]


def refine(today: Array, stored: Array, matrix: Array) -> tuple[Array, float]:
    """Return the map near `matrix` where local contrasts correlate best, and how well.

    Gauss-Newton: stored's contrast is explained by today's, moved, by a constant, and
    by what a small affine change would add to stored's. Correlation 0: no overlap.
    """
    centre, changes = _changes(stored)
    ends = corners(stored.shape)
    best, best_correlation = matrix, 0.0
    for _ in range(_MOST_STEPS):
        moved = warp(today, matrix, stored.shape).ravel()
        seen = np.isfinite(moved)
        if seen.mean() < _LEAST_OVERLAP:
            break
        correlation = _correlation(moved[seen], stored.ravel()[seen])
        if correlation > best_correlation:
            best, best_correlation = matrix, correlation
        design = np.vstack([np.where(seen, moved, 0), seen, changes * seen])
        shares = np.linalg.lstsq(design @ design.T, design @ stored.ravel())[0]
        change = np.eye(3)
        change[:2] -= shares[2:].reshape(2, 3) @ centre
        step = matrix @ np.linalg.inv(change) - matrix
        matrix = matrix + step
        if np.abs(step @ ends).max() < _STILL_PX:
            break
    return best, best_correlation


def corners(shape: tuple[int, ...]) -> Array:
    """Return (row, col, 1) of the four corner pixels, (3, 4)."""
    bottom, right = shape[0] - 1, shape[1] - 1
    places = [(0, 0, 1), (0, right, 1), (bottom, 0, 1), (bottom, right, 1)]
    return np.array(places, float).T


def _correlation(one: Array, other: Array) -> float:
    one, other = one - one.mean(), other - other.mean()
    norms = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / (norms + np.float32(1e-30)))


def _changes(image: Array) -> tuple[Array, Array]:
    """Return what each of six small changes of the map would add to the image.

    (3, 3): from (row, col, 1) to coordinates of about -1..1, which keep the numbers of
    like size, and (6, lines * pixels) float32: the image's change per unit of each.
    """
    lines, pixels = image.shape
    half = max(lines, pixels) / 2
    centre = np.array([(1, 0, -lines / 2), (0, 1, -pixels / 2), (0, 0, half)]) / half
    rows, cols = np.indices(image.shape)
    places = np.tensordot(centre, np.stack([rows, cols, np.ones_like(rows)]), 1)
    slopes = np.stack([np.gradient(image, axis=0), np.gradient(image, axis=1)])
    changes = slopes[:, None] * places.astype(np.float32)
    return centre, changes.reshape(6, -1)


def _shrunk(image: Array, factor: int) -> Array:
    """Every `factor`-th pixel, of the image blurred so that none is left out."""
    image = np.asarray(image, np.float32)
    if factor == 1:
        return image
    return gaussian_filter(image, 0.5 * factor)[::factor, ::factor]


def _search(today: Array, stored: Array, limits: FieldSettings) -> Array:
    """Best map of those in range that turn, scale and shift."""
    shifts = _Shifts(today, stored, limits.max_shift)
    reach = np.array([limits.max_rotation_deg, limits.max_scale - 1])
    counts = np.ceil(reach / _STEPS).astype(int).tolist()
    grid = product(*(range(-n, n + 1) for n in counts))
    places = [_STEPS * place + (0, 1) for place in grid]
    best = max((shifts.best(*place) for place in places), key=lambda found: found.score)
    for halving in range(1, _HALVINGS + 1):
        around = product((-1, 0, 1), repeat=2)
        places = [best.place + _STEPS / 2**halving * step for step in around]
        best = max((shifts.best(*p) for p in places), key=lambda found: found.score)
    return best.matrix


@dataclass(frozen=True)
class _Found:
    score: float
    place: Array  # rotation in degrees, scale
    matrix: Array


class _Shifts:
    """Finds the best shift for a rotation and scale, by Fourier transform."""

    def __init__(self, today: Array, stored: Array, share: float) -> None:
        self._stored = stored
        self._shape = today.shape
        self._reach = [round(share * side) for side in today.shape]
        self._size = [
            fft.next_fast_len(side + reach, real=True)
            for side, reach in zip(today.shape, self._reach, strict=True)
        ]
        self._today = fft.rfft2(today, self._size)

    def best(self, rotation_deg: float, scale: float) -> _Found:
        """Return the best shift; its score grows with overlap and correlation."""
        matrix = turned(rotation_deg, scale, self._stored.shape, self._shape)
        moved = np.nan_to_num(warp(self._stored, inverse(matrix), self._shape))
        spectrum = self._today * fft.rfft2(moved, self._size).conj()
        scores = fft.irfft2(spectrum, self._size)
        y, x = self._reach
        near = np.roll(scores, (y, x), (0, 1))[: 2 * y + 1, : 2 * x + 1]
        row, col = divmod(int(near.argmax()), near.shape[1])
        matrix[:, 2] += row - y, col - x
        return _Found(float(near[row, col]), np.array([rotation_deg, scale]), matrix)


def turned(
    rotation_deg: float, scale: float, shape: tuple[int, ...], today: tuple[int, ...]
) -> Array:
    """Return the map that turns (clockwise, as seen) and scales about the middle."""
    angle = np.deg2rad(rotation_deg)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    middle, middle_today = (np.array(shape) - 1) / 2, (np.array(today) - 1) / 2
    return np.column_stack([scale * turn, middle_today - scale * turn @ middle])
