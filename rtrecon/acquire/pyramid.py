"""The template at every scale, ready to be correlated with frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from rtrecon.acquire import kernels
from rtrecon.wire import Array

# The search needs an image on which single neurons are still told apart.
_COARSEST_SIDE_PX = 48
# In pixels of each scale: finer is mostly photon noise, broader mostly illumination.
_FINE_SIGMA_PX, _BROAD_SIGMA_PX = 1.5, 4.0
# Beyond these, a frame is clipped before the search: one neuron that flashes would
# otherwise outshine all others, and match whatever is bright.
_USUAL_PERCENT = (1, 99)


@dataclass(frozen=True)
class Level:
    """The template at one scale, and room for the frame halved to that scale."""

    pattern: Array  # (lines, pixels) float32, band-passed
    sums: Array  # float64 integral image of the pattern, and of its square:
    squares: Array
    image: Array  # (lines, pixels) float32
    range: tuple[float, float]  # of nearly all of the template's pixels, from its mean


def levels(template: Array) -> list[Level]:
    """Return the scales of a (lines, pixels) float32 template, finest first."""
    images = [template]
    while min(images[-1].shape) // 2 >= _COARSEST_SIDE_PX:
        lines, pixels = images[-1].shape
        images.append(np.empty((lines // 2, pixels // 2), np.float32))
        kernels.halve(images[-2], images[-1])
    return [_level(image) for image in images]


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


def _level(image: Array) -> Level:
    fine = gaussian_filter(image, _FINE_SIGMA_PX)
    pattern = fine - gaussian_filter(image, _BROAD_SIGMA_PX)
    lowest, highest = np.percentile(image - image.mean(), _USUAL_PERCENT).tolist()
    return Level(
        pattern,
        _integral(pattern),
        _integral(pattern**2),
        np.empty_like(image),
        (lowest, highest),
    )


def _integral(image: Array) -> Array:
    sums = np.zeros((image.shape[0] + 1, image.shape[1] + 1))
    sums[1:, 1:] = image.cumsum(0, np.float64).cumsum(1)
    return sums


def _windows(integral: Array, size: tuple[int, int]) -> Array:
    """Sum over every window of this size, by its top left corner."""
    h, w = size
    below = integral[h:, w:] - integral[h:, :-w]
    return np.asarray(below - integral[:-h, w:] + integral[:-h, :-w])
