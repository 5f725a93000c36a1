"""The visual field: the pixels of the screen where the neurons look.

Pixels that no neuron responds to cannot be reconstructed. Scores are therefore taken
over the pixels to which the encoder is sensitive, and the whole screen is shown beside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtrecon.core.types import Array

MIN_SENSITIVITY = 0.1  # of the most sensitive pixel; where it is lower, nobody looks


def select_visual_field(sensitivity: Array) -> Array:
    """Return the pixels where the neurons look, bool (height, width).

    sensitivity: (height, width) >= 0 in any unit. If it is zero everywhere, every pixel
    counts.
    """
    largest = float(sensitivity.max())
    return np.asarray(sensitivity >= MIN_SENSITIVITY * largest)


def take_pixels(frames: Array, pixels: Array) -> Array:
    """Return the pixels (k, n) with these flat indices of frames (k, height, width)."""
    return np.asarray(frames.reshape(len(frames), -1).take(pixels, axis=1))


def encode_visual_field(visual_field: Array) -> list[int]:
    """Return the lengths of runs of pixels, row by row: outside, inside, outside, …

    visual_field: bool (height, width). If its first pixel is inside, the first length
    is 0.
    """
    flat = np.concatenate([[False], np.asarray(visual_field, bool).ravel()])
    edges = np.flatnonzero(np.diff(flat))
    bounds = np.concatenate([[0], edges, [visual_field.size]])
    return [int(length) for length in np.diff(bounds)]


def decode_visual_field(lengths: Sequence[int], shape: tuple[int, int]) -> Array:
    """Return the visual field, bool (height, width), that was encoded as lengths.

    Raises ValueError if the lengths do not fill the image.
    """
    n_pixels = shape[0] * shape[1]
    if min(lengths, default=0) < 0 or sum(lengths) != n_pixels:
        raise ValueError(
            f"the visual field's runs have {sum(lengths)} pixels, but the image has "
            f"{n_pixels}"
        )
    is_inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(is_inside, list(lengths)).reshape(shape)
