"""Compiled inner loops of registration: compare frames with a template, move them back.

A pattern is a band-passed template. `sums` and `squares` are float64 integral images of
a pattern and of its square; they are one line and one pixel larger than the pattern.

No kernel reads or writes outside its arrays, whatever the shift: where a shift leaves
no overlap, the correlation is 0.
"""

from __future__ import annotations

import math

import numpy as np

from rtrecon.core.numba_jit import jit_kernel, jit_summing_kernel
from rtrecon.core.types import Array


@jit_kernel
def halve_image(image: Array, out: Array) -> None:
    """Average boxes of 2 x 2 pixels; an odd last line or pixel is left out."""
    for row in range(out.shape[0]):
        upper, lower = image[2 * row], image[2 * row + 1]
        for col in range(out.shape[1]):
            total = np.float32(upper[2 * col]) + np.float32(upper[2 * col + 1])
            total += np.float32(lower[2 * col]) + np.float32(lower[2 * col + 1])
            out[row, col] = np.float32(0.25) * total


@jit_summing_kernel
def center_image(
    image: Array, lowest: float, highest: float, margins: tuple[int, int], out: Array
) -> tuple[float, float]:
    """Write the inner part of an image, without its mean and clipped, to out.

    The inner part is what lies inside the margins (lines, pixels); the margins of out
    do not change. Values are clipped to lowest and highest relative to the mean, then
    the mean is removed once more. Returns the mean before clipping, and the norm of
    what was written.
    """
    top, left = margins
    inner = image[top : image.shape[0] - top, left : image.shape[1] - left]
    written = out[top : image.shape[0] - top, left : image.shape[1] - left]
    lines, pixels = inner.shape
    total = 0.0
    for row in range(lines):
        for col in range(pixels):
            total += inner[row, col]
    mean = total / (lines * pixels)
    total = 0.0
    for row in range(lines):
        for col in range(pixels):
            written[row, col] = min(max(inner[row, col] - mean, lowest), highest)
            total += written[row, col]
    energy = 0.0
    for row in range(lines):
        for col in range(pixels):
            written[row, col] -= total / (lines * pixels)
            energy += written[row, col] ** 2
    return mean, math.sqrt(energy)


@jit_summing_kernel
def correlate_all_shifts(
    centered: Array, pattern: Array, scales: Array, out: Array
) -> None:
    """Correlate a centred image with the pattern, for every shift in range.

    scales, out: (2 * ry + 1, 2 * rx + 1). Entry [ry + y, rx + x] belongs to the shift
    (y, x); `scales` holds the inverse norm of the part of the pattern that is seen at
    that shift. The margins (ry, rx) of the image must be zero, so that a shift is one
    offset in flat memory.
    """
    lines, pixels = pattern.shape
    ry, rx = scales.shape[0] // 2, scales.shape[1] // 2
    first, last = ry * pixels + rx, (lines - ry) * pixels - rx
    inner = centered.reshape(-1)[first:last]
    flat = pattern.reshape(-1)
    for i in range(2 * ry + 1):
        for j in range(2 * rx + 1):
            offset = first - (i - ry) * pixels - (j - rx)
            visible = flat[offset : offset + last - first]
            dot = np.float32(0)
            for k in range(last - first):
                dot += inner[k] * visible[k]
            out[i, j] = dot * scales[i, j]


@jit_kernel
def _sum_window(integral: Array, top: int, left: int, lines: int, pixels: int) -> float:
    """Return the sum over a window of the image that `integral` was made from."""
    bottom, right = top + lines, left + pixels
    total: float = integral[bottom, right] - integral[top, right]
    total += integral[top, left] - integral[bottom, left]
    return total


@jit_kernel
def _normalize_product(
    dot: float,
    total: float,
    spread: float,
    sums: Array,
    squares: Array,
    corner: tuple[int, int],
    size: tuple[int, int],
) -> float:
    """Return the correlation of an image with a window of the pattern.

    dot: sum of their products. total, spread: the image's sum, and its sum of squares
    about its mean. corner, size: of the window. 0 where either of them is constant.
    """
    count = size[0] * size[1]
    pattern_sum = _sum_window(sums, corner[0], corner[1], size[0], size[1])
    energy = _sum_window(squares, corner[0], corner[1], size[0], size[1])
    pattern_spread = energy - pattern_sum * pattern_sum / count
    scale = math.sqrt(max(spread, 0.0) * max(pattern_spread, 0.0))
    return (dot - total * pattern_sum / count) / scale if scale > 0 else 0.0


@jit_summing_kernel
def correlate_neighbors(
    image: Array,
    mean_level: float,
    pattern: Array,
    sums: Array,
    squares: Array,
    y: int,
    x: int,
    out: Array,
) -> None:
    """Compute the normalised correlation at the shift (y, x) and at four neighbours.

    out: (5,) float64 for (y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1). All
    five use the same window of the image, which each of them maps into the pattern; all
    are 0 where there is no such window. mean_level: any value near the image's mean; it
    is subtracted to limit rounding errors.
    """
    top, bottom = max(0, y + 1), pattern.shape[0] + min(0, y - 1)
    left, right = max(0, x + 1), pattern.shape[1] + min(0, x - 1)
    lines, pixels = bottom - top, right - left
    total = energy = 0.0
    out[:] = 0.0
    if lines < 1 or pixels < 1:
        return
    zero, level = np.float32(0), np.float32(mean_level)
    for row in range(top, bottom):
        line = image[row, left:right]
        before = pattern[row - y - 1, left - x : right - x]
        here = pattern[row - y, left - x - 1 : right - x + 1]
        after = pattern[row - y + 1, left - x : right - x]
        plain = squared = at = up = down = at_left = at_right = zero
        for col in range(pixels):
            value = np.float32(line[col]) - level
            plain += value
            squared += value * value
            at += value * here[col + 1]
            up += value * after[col]
            down += value * before[col]
            at_left += value * here[col + 2]
            at_right += value * here[col]
        total += float(plain)
        energy += float(squared)
        out[0] += at
        out[1] += up
        out[2] += down
        out[3] += at_left
        out[4] += at_right
    spread = energy - total * total / (lines * pixels)
    size = lines, pixels
    for k, dy, dx in ((0, 0, 0), (1, -1, 0), (2, 1, 0), (3, 0, -1), (4, 0, 1)):
        corner = top - y - dy, left - x - dx
        out[k] = _normalize_product(out[k], total, spread, sums, squares, corner, size)


@jit_summing_kernel
def correlate_strips(
    image: Array,
    mean_level: float,
    pattern: Array,
    sums: Array,
    squares: Array,
    centers: Array,
    line: Array,
    out: Array,
) -> None:
    """Compute the normalised correlation of each strip of lines around its own shift.

    centers: (n, 2) int64, the shift (y, x) around which each of n strips is tried; out:
    (n, k, k) float64 with k odd, its middle at that shift. Strips have the same height;
    the last one takes the remaining lines. Lines that the largest shifts move out of
    the pattern are left out; a strip without any line left scores 0. line: (pixels,)
    scratch. mean_level: see `correlate_neighbors`.
    """
    reach, height = out.shape[1] // 2, pattern.shape[0] // len(centers)
    level = np.float32(mean_level)
    for strip in range(len(centers)):
        y, x = centers[strip]
        ending = pattern.shape[0] if strip + 1 == len(centers) else (strip + 1) * height
        top = max(strip * height, y + reach)
        bottom = min(ending, pattern.shape[0] + min(0, y - reach))
        left, right = max(0, x + reach), pattern.shape[1] + min(0, x - reach)
        lines, pixels = bottom - top, right - left
        scores = out[strip]
        scores[:] = 0.0
        if lines < 1 or pixels < 1:
            continue
        total = energy = 0.0
        for row in range(top, bottom):
            plain = squared = np.float32(0)
            for col in range(pixels):
                value = np.float32(image[row, left + col]) - level
                line[col] = value
                plain += value
                squared += value * value
            total += float(plain)
            energy += float(squared)
            for i in range(2 * reach + 1):
                for j in range(2 * reach + 1):
                    start = left - x - (j - reach)
                    visible = pattern[row - y - (i - reach), start : start + pixels]
                    dot = np.float32(0)
                    for col in range(pixels):
                        dot += line[col] * visible[col]
                    scores[i, j] += dot
        spread = energy - total * total / (lines * pixels)
        size = lines, pixels
        for i in range(2 * reach + 1):
            for j in range(2 * reach + 1):
                corner = top - y - (i - reach), left - x - (j - reach)
                scores[i, j] = _normalize_product(
                    scores[i, j], total, spread, sums, squares, corner, size
                )


@jit_kernel
def _shift_line(line: Array, x: float, out: Array) -> None:
    """Set out[c] = line[c + x], linear between pixels; outside, the nearest pixel."""
    pixels, x0 = out.size, math.floor(x)
    fx = np.float32(x - x0)
    first = min(max(-x0, 0), pixels)
    last = max(min(pixels - 1 - x0, pixels), first)
    here, there = line[first + x0 : last + x0], line[first + x0 + 1 : last + x0 + 1]
    inside = out[first:last]
    for col in range(last - first):
        value = np.float32(here[col])
        inside[col] = value + fx * (np.float32(there[col]) - value)
    out[:first] = np.float32(line[0])
    out[last:] = np.float32(line[pixels - 1])


@jit_kernel
def undo_shifts(frame: Array, shifts: Array, line: Array, out: Array) -> None:
    """Set out[r, c] = frame[r + y, c + x] with (y, x) = shifts[r], bilinear.

    shifts: (lines, 2) float64, one for each line of out. Pixels from outside the frame
    take the value of the nearest edge pixel. line: (pixels,) scratch, one line of the
    frame between two of its rows.
    """
    lines = out.shape[0]
    for row in range(lines):
        y, x = shifts[row]
        y0 = math.floor(y)
        fy = np.float32(y - y0)
        upper = frame[min(max(row + y0, 0), lines - 1)]
        lower = frame[min(max(row + y0 + 1, 0), lines - 1)]
        for col in range(line.size):
            value = np.float32(upper[col])
            line[col] = value + fy * (np.float32(lower[col]) - value)
        _shift_line(line, x, out[row])


@jit_kernel
def correct_scan_phase(frame: Array, offset: float, out: Array) -> None:
    """Move the odd lines of a frame left by `offset` pixels, linear between pixels.

    Even lines are copied as they are.
    """
    for row in range(frame.shape[0]):
        if row % 2:
            _shift_line(frame[row], offset, out[row])
        else:
            out[row] = frame[row]


@jit_kernel
def count_constant_lines(frame: Array) -> int:
    """Count the lines whose pixels are all equal."""
    count = 0
    for row in range(frame.shape[0]):
        col = 1
        while col < frame.shape[1] and frame[row, col] == frame[row, 0]:
            col += 1
        count += col >= frame.shape[1]
    return count


@jit_kernel
def update_mean(mean: Array, image: Array, weight: float) -> None:
    """Move a running mean towards an image by `weight` times their difference."""
    weight32 = np.float32(weight)
    for row in range(mean.shape[0]):
        old, new = mean[row], image[row]
        for col in range(mean.shape[1]):
            old[col] += weight32 * (new[col] - old[col])
