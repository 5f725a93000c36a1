"""Filters of images that need neither loops over pixels nor large windows."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from rtrecon.core.types import Array


def dilate_square(image: Array, reach: int) -> Array:
    """Return the maximum in a square of side 2 reach + 1 around each pixel."""
    return _spread(_spread(image, reach, 0, np.maximum), reach, 1, np.maximum)


def erode_square(image: Array, reach: int) -> Array:
    """Return the minimum in a square of side 2 reach + 1 around each pixel."""
    return _spread(_spread(image, reach, 0, np.minimum), reach, 1, np.minimum)


def open_square(image: Array, reach: int) -> Array:
    """Return the image without what is narrower than 2 reach + 1 pixels."""
    return dilate_square(erode_square(image, reach), reach)


def smooth(image: Array, sigma_px: float) -> Array:
    """Return the image, float32, under a Gaussian that is cut at two sigmas and a half.

    The border repeats its pixels.
    """
    first = gaussian_filter1d(image, sigma_px, axis=0, truncate=2.5, mode="nearest")
    return gaussian_filter1d(first, sigma_px, axis=1, truncate=2.5, mode="nearest")


def average_blocks(image: Array, factor: int) -> Array:
    """Return float32 means of squares of factor x factor; incomplete ones are left out.

    A factor of 1 returns the image as float32.
    """
    if factor == 1:
        return np.asarray(image, np.float32)
    rows, cols = (side // factor for side in image.shape)
    cut = image[: rows * factor, : cols * factor]
    total = np.zeros((rows, cols), np.float32)
    for dy in range(factor):
        for dx in range(factor):
            total += cut[dy::factor, dx::factor]
    return total / np.float32(factor**2)


def repeat_blocks(image: Array, factor: int, shape: tuple[int, int]) -> Array:
    """Return an image of this shape whose squares of factor x factor are equal.

    It undoes `average_blocks`; lines and pixels at the end repeat the last block.
    """
    rows = np.minimum(np.arange(shape[0]) // factor, image.shape[0] - 1)
    cols = np.minimum(np.arange(shape[1]) // factor, image.shape[1] - 1)
    return image[rows[:, None], cols]


def _spread(image: Array, reach: int, axis: int, choose: np.ufunc) -> Array:
    """Return the extreme over 2 reach + 1 neighbours along an axis.

    The window doubles at each step, so a wide one costs only a few passes.
    """
    if reach == 0:
        return image
    width = 2 * reach + 1
    padding = [(0, 0), (0, 0)]
    padding[axis] = (reach, reach)
    current = np.pad(image, padding, mode="edge")
    covered = 1
    while covered < width:
        step = min(covered, width - covered)
        n = current.shape[axis] - step
        current = choose(_cut(current, 0, n, axis), _cut(current, step, n, axis))
        covered += step
    return current


def _cut(image: Array, start: int, length: int, axis: int) -> Array:
    window = slice(start, start + length)
    return image[window] if axis == 0 else image[:, window]
