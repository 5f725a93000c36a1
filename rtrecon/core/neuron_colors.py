"""The color of each neuron in pictures of a dish, by its number."""

from __future__ import annotations

import colorsys

import numpy as np

from rtrecon.core.types import Array

_GOLDEN_SHARE = 0.381966  # of the color circle, so that neighbors in number differ
_SATURATION = 0.75
_GRAY = 150


def make_colors(n: int) -> Array:
    """Return uint8 (n + 1, 3): the color of each number; 0 is gray."""
    colors = np.empty((n + 1, 3), np.uint8)
    for number in range(n + 1):
        rgb = colorsys.hsv_to_rgb(number * _GOLDEN_SHARE % 1, _SATURATION, 1.0)
        colors[number] = np.rint(255 * np.array(rgb))
    colors[0] = _GRAY
    return colors
