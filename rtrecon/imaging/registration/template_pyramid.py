"""The template at every scale, ready to be correlated with frames."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels as kernels

# The search needs an image on which single neurons are still told apart.
_COARSEST_SIDE_PX = 48
# In pixels of each scale: finer is mostly photon noise, broader mostly illumination.
_FINE_SIGMA_PX, _BROAD_SIGMA_PX = 1.5, 4.0
_FILTER_REACH_PX = 16  # four of the broader: what lies further off counts for nothing
_LINES_AT_ONCE = 16


@dataclass(frozen=True)
class Level:
    """The template at one scale, and room for the frame halved to that scale."""

    template: Array  # (lines, pixels) float32
    pattern: Array  # (lines, pixels) float32, band-passed
    sums: Array  # float64 integral image of the pattern, and of its square:
    squares: Array
    image: Array  # (lines, pixels) float32


def levels(template: Array) -> list[Level]:
    """Return the scales of a (lines, pixels) float32 template, finest first."""
    steps = levels_by_steps(template)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            made: list[Level] = done.value
            return made


def levels_by_steps(template: Array) -> Generator[None, None, list[Level]]:
    """Make `levels`, a millisecond or so at a time, beside frames that must not wait.

    The template must not change meanwhile.
    """
    images = [template]
    while min(images[-1].shape) // 2 >= _COARSEST_SIDE_PX:
        lines, pixels = images[-1].shape
        images.append(np.empty((lines // 2, pixels // 2), np.float32))
        kernels.halve(images[-2], images[-1])
    made = []
    for image in images:
        made.append((yield from _level(image)))
    return made


def inverse_norms(level: Level, ry: int, rx: int) -> Array:
    """1 / norm of the pattern seen through the middle of a frame, for every shift.

    (2 * ry + 1, 2 * rx + 1) float32; [ry + y, rx + x] belongs to the shift (y, x).
    """
    lines, pixels = level.pattern.shape
    size = lines - 2 * ry, pixels - 2 * rx
    sums, squares = _windows(level.sums, size), _windows(level.squares, size)
    norms = np.sqrt(np.maximum(squares - sums**2 / (size[0] * size[1]), 0))
    # A frame moved by +y shows at its middle what the pattern has y lines above.
    norms = norms[::-1, ::-1]
    scales = np.divide(1.0, norms, where=norms > 0, out=np.zeros_like(norms))
    return np.ascontiguousarray(scales, np.float32)


def _level(image: Array) -> Generator[None, None, Level]:
    lines, pixels = image.shape
    pattern = np.empty_like(image)
    sums, squares = np.zeros((2, lines + 1, pixels + 1))
    for top in range(0, lines, _LINES_AT_ONCE):
        own = slice(top, min(top + _LINES_AT_ONCE, lines))
        pattern[own] = _band_passed(image, own)
        _integrate(pattern[own], sums[top:])
        _integrate(pattern[own] ** 2, squares[top:])
        yield
    return Level(image, pattern, sums, squares, np.empty_like(image))


def _band_passed(image: Array, own: slice) -> Array:
    """Those lines of the band-passed image."""
    above = min(own.start, _FILTER_REACH_PX)
    around = image[own.start - above : own.stop + _FILTER_REACH_PX]
    kept = slice(above, above + own.stop - own.start)
    # Down the columns as a product with the filtered unit, which is faster.
    unit = np.eye(len(around), dtype=np.float32)
    fine, broad = (
        gaussian_filter1d(
            gaussian_filter1d(unit, sigma, axis=0)[kept] @ around, sigma, axis=1
        )
        for sigma in (_FINE_SIGMA_PX, _BROAD_SIGMA_PX)
    )
    return np.asarray(fine - broad)


def _integrate(lines: Array, sums: Array) -> None:
    """Go on with an integral image, whose first line is done, over more lines."""
    done = sums[1 : len(lines) + 1, 1:]
    np.cumsum(lines, 0, out=done)
    np.cumsum(done, 1, out=done)
    done += sums[0, 1:]


def _windows(integral: Array, size: tuple[int, int]) -> Array:
    """Sum over every window of this size, by its top left corner."""
    h, w = size
    below = integral[h:, w:] - integral[h:, :-w]
    return np.asarray(below - integral[:-h, w:] + integral[:-h, :-w])
