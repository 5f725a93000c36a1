"""Compiled loops of the natural-like movies: leaves are painted, a camera looks."""

from __future__ import annotations

import math

from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array


@jit_kernel
def paint_leaf(
    canvas: Array,
    alpha: Array,
    center: tuple[int, int],
    shape: tuple[float, float, float],
    shade: tuple[float, float, float, float, float],
) -> None:
    """Paint an ellipse on a square canvas that wraps around, in place; alpha becomes 1.

    shape: radius in px, angle in radians, and the shorter axis as a share of the
    longer. shade: brightness, its slope from one side to the other, and amplitude,
    frequency (radians per px) and phase of the stripes.
    """
    size = canvas.shape[0]
    radius, angle, squeeze = shape
    brightness, slope, amplitude, frequency, phase = shade
    cos, sin = math.cos(angle), math.sin(angle)
    reach = math.ceil(radius)
    for y in range(-reach, reach + 1):
        row = (center[0] + y) % size
        for x in range(-reach, reach + 1):
            along = x * cos + y * sin
            across = (y * cos - x * sin) / squeeze
            if along * along + across * across <= radius * radius:
                col = (center[1] + x) % size
                stripe = 0.25 * math.sin(along * frequency + phase)
                shading = slope * along / radius
                canvas[row, col] = brightness + shading + stripe * amplitude
                alpha[row, col] = 1.0


@jit_kernel
def view_wrapped(canvas: Array, camera: Array, out: Array) -> None:
    """Fill out (T, height, width) with what the moving camera sees of the canvas.

    The canvas wraps around; between its pixels the view is bilinear. camera (T, 3): y
    and x of the middle of the view in px, and the distance of two pixels on the canvas.
    """
    n_rows, n_cols = canvas.shape
    height, width = out.shape[1:]
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    for t in range(len(out)):
        for i in range(height):
            y = (i - middle_y) * camera[t, 2] + camera[t, 0]
            top = math.floor(y)
            lower = y - top
            row = top % n_rows
            row_below = (row + 1) % n_rows
            for j in range(width):
                x = (j - middle_x) * camera[t, 2] + camera[t, 1]
                left = math.floor(x)
                right = x - left
                col = left % n_cols
                col_right = (col + 1) % n_cols
                out[t, i, j] = (
                    canvas[row, col] * (1 - lower) * (1 - right)
                    + canvas[row, col_right] * (1 - lower) * right
                    + canvas[row_below, col] * lower * (1 - right)
                    + canvas[row_below, col_right] * lower * right
                )
