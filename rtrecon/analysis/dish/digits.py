"""Draws numbers into pictures, from dots: 3 x 5 per digit."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array

# Five lines of three dots per digit, the upper left dot first.
_DIGITS = (
    "111101101101111",
    "010110010010111",
    "111001111100111",
    "111001111001111",
    "101101111001001",
    "111100111001111",
    "111100111101111",
    "111001001001001",
    "111101111101111",
    "111101111001111",
)
_WIDTH, _HEIGHT = 3, 5


def draw_number(image: Array, number: int, y: int, x: int, color: Array) -> None:
    """Draw a number into an image (lines, pixels, 3).

    y, x: of its upper left corner. What lies outside of the image is not drawn.
    """
    for k, digit in enumerate(str(number)):
        dots = np.array([dot == "1" for dot in _DIGITS[int(digit)]])
        rows, cols = np.nonzero(dots.reshape(_HEIGHT, _WIDTH))
        rows, cols = rows + y, cols + x + k * (_WIDTH + 1)
        is_inside = (rows >= 0) & (rows < image.shape[0])
        is_inside &= (cols >= 0) & (cols < image.shape[1])
        image[rows[is_inside], cols[is_inside]] = color
