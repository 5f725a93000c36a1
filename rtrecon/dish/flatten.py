"""Flattens a picture: background off, brightness in units of its noise."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import percentile_filter

from rtrecon.core.types import Array
from rtrecon.dish.image_filters import average_blocks, smooth

_BLOCK_PX = 8
_BACKGROUND_PERCENTILE, _BACKGROUND_BLOCKS, _BACKGROUND_SIGMA = 30, 9, 3.0
_NOISE_BLOCK_PX = 4
# Share of the noise of pixels that bilinear interpolation leaves, over all shifts.
_INTERPOLATED_NOISE = 0.667
_MAD_TO_SD = 1.4826  # median absolute deviation to standard deviation


def flatten_image(image: Array) -> Array:
    """Return float32 (lines, pixels): brightness above background, in sigmas of noise.

    image: in counts of a camera, with any offset. The square root makes the noise of
    photons the same in bright and dark parts.
    """
    root = _stabilize_noise(image)
    root -= _estimate_background(root)
    return root / np.float32(max(_measure_noise(root), 1e-9))


def _stabilize_noise(image: Array) -> Array:
    darkest, median = np.percentile(image[::4, ::4], [0.1, 50])
    # Without a margin, the root would stretch the noise of the darkest pixels.
    margin = max(median - darkest, 1e-3)
    above = image.astype(np.float32) - np.float32(darkest - margin)
    np.maximum(above, 0, out=above)
    return np.sqrt(above, out=above)


def _estimate_background(root: Array) -> Array:
    """Return the background of the field: a low percentile of wide neighbourhoods."""
    small = average_blocks(root, _BLOCK_PX)
    low = percentile_filter(small, _BACKGROUND_PERCENTILE, _BACKGROUND_BLOCKS)
    low = smooth(low, _BACKGROUND_SIGMA)
    return _magnify(low, root.shape)


def _magnify(small: Array, shape: tuple[int, ...]) -> Array:
    """Return the image of blocks, interpolated between their centers."""
    rows, cols = (_locate_blocks(n, m) for n, m in zip(shape, small.shape, strict=True))
    upper = small[rows[0]] * (1 - rows[2])[:, None] + small[rows[1]] * rows[2][:, None]
    left, right = upper[:, cols[0]], upper[:, cols[1]]
    return left + (right - left) * cols[2]


def _locate_blocks(n_pixels: int, n_blocks: int) -> tuple[Array, Array, Array]:
    """Return for each pixel the block before, the block after, the part between."""
    at = ((np.arange(n_pixels) + 0.5) / _BLOCK_PX - 0.5).clip(0, n_blocks - 1)
    before = np.minimum(at.astype(int), max(0, n_blocks - 2))
    after = np.minimum(before + 1, n_blocks - 1)
    return before, after, (at - before).astype(np.float32)


def _measure_noise(flat: Array) -> float:
    """Return the standard deviation of the noise, from second differences of blocks.

    Between pixels it would depend on the shift of the picture: interpolation half way
    between pixels takes much of the noise of pixels, and little of that of blocks.
    """
    blocks = average_blocks(flat, _NOISE_BLOCK_PX)
    middle = blocks[:, 1:-1] - (blocks[:, :-2] + blocks[:, 2:]) / 2
    spread = np.median(np.abs(middle))
    noise = _NOISE_BLOCK_PX * _MAD_TO_SD * spread / np.sqrt(1.5)
    return float(_INTERPOLATED_NOISE * noise)
