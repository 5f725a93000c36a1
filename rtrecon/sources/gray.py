"""Makes gray images of color pictures, by one rule, which a notice names.

The sum of red, green and blue loses nothing of 8 bits, and shows a fluorophore equally
bright in whichever color it was drawn. 16 bits are averaged, because the sum does not
fit.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array

_N_COLORS = 3
# Compressed gray films have weak colors; a larger mean difference is a color.
_MIN_COLOR_LEVELS = 2.0


def is_color(image: Array) -> bool:
    """Return whether an image has the form (lines, pixels, 3 or 4 colors)."""
    return image.ndim == _N_COLORS and image.shape[2] in (_N_COLORS, _N_COLORS + 1)


def has_colors(image: Array) -> bool:
    """Return whether the colors (lines, pixels, 3 or 4) of an image really differ."""
    red, green, blue = np.moveaxis(image[..., :_N_COLORS].astype(np.float32), 2, 0)
    difference = max(np.abs(red - green).mean(), np.abs(green - blue).mean())
    return bool(difference > _MIN_COLOR_LEVELS)


def make_gray(image: Array, *, is_summed: bool) -> Array:
    """Return uint16 (lines, pixels) of a color image of 8 or 16 bits.

    is_summed: add the colors up, as for a color film; otherwise take the green one,
    as for a gray film that is stored in color. A fourth color, which tells what is
    transparent, is left out.
    """
    colors = image[..., :_N_COLORS]
    if not is_summed:
        return np.ascontiguousarray(colors[..., 1], np.uint16)
    total = colors.sum(axis=2, dtype=np.uint32)
    if image.dtype.itemsize > 1:
        total = (total + 1) // _N_COLORS
    return total.astype(np.uint16)


def describe_gray(dtype: np.dtype, *, is_summed: bool) -> str:
    """Return the sentence that tells the user how gray values are made."""
    if not is_summed:
        return "its pictures are gray, stored in color; one color is read"
    how = "sum" if dtype.itemsize == 1 else "mean"
    return f"its pictures have colors; gray is the {how} of red, green and blue"
