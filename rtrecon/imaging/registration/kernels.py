"""Kernels of registration: frames compared with a template, and moved back.

A pattern is a template, band-passed; `sums` and `squares` are float64 integral images
of a pattern and of its square, one line and one pixel larger.
"""

from __future__ import annotations

import math

import numpy as np

from rtrecon.core.numba_jit import kernel, summing_kernel
from rtrecon.core.types import Array


@kernel
def halve(image: Array, out: Array) -> None:
    """Mean over boxes of 2 x 2 pixels; an odd last line or pixel is left out."""
    for row in range(out.shape[0]):
        upper, lower = image[2 * row], image[2 * row + 1]
        for col in range(out.shape[1]):
            total = np.float32(upper[2 * col]) + np.float32(upper[2 * col + 1])
            total += np.float32(lower[2 * col]) + np.float32(lower[2 * col + 1])
            out[row, col] = np.float32(0.25) * total


@summing_kernel
def centre(
    image: Array, lowest: float, highest: float, margins: tuple[int, int], out: Array
) -> tuple[float, float]:
    """Write the middle of an image, less its mean, clipped, to the middle of out.

    The middle is what lies within the margins (lines, pixels) of out, which stay as
    they are. Clipped to lowest and highest from the mean, then centred once more.
    Returns the mean before clipping and the norm of what is written.
    """
    top, left = margins
    middle = image[top : image.shape[0] - top, left : image.shape[1] - left]
    written = out[top : image.shape[0] - top, left : image.shape[1] - left]
    lines, pixels = middle.shape
    total = 0.0
    for row in range(lines):
        for col in range(pixels):
            total += middle[row, col]
    mean = total / (lines * pixels)
    total = 0.0
    for row in range(lines):
        for col in range(pixels):
            written[row, col] = min(max(middle[row, col] - mean, lowest), highest)
            total += written[row, col]
    energy = 0.0
    for row in range(lines):
        for col in range(pixels):
            written[row, col] -= total / (lines * pixels)
            energy += written[row, col] ** 2
    return mean, math.sqrt(energy)


@summing_kernel
def search(centred: Array, pattern: Array, scales: Array, out: Array) -> None:
    """Correlate a centred image with the pattern, for every shift in range.

    scales, out: (2 * ry + 1, 2 * rx + 1); entry [ry + y, rx + x] belongs to the shift
    (y, x) and `scales` is the inverse norm of the pattern seen through it. The
    margins (ry, rx) of the image are zero: so a shift is one offset in flat memory.
    """
    lines, pixels = pattern.shape
    ry, rx = scales.shape[0] // 2, scales.shape[1] // 2
    first, last = ry * pixels + rx, (lines - ry) * pixels - rx
    middle = centred.reshape(-1)[first:last]
    flat = pattern.reshape(-1)
    for i in range(2 * ry + 1):
        for j in range(2 * rx + 1):
            offset = first - (i - ry) * pixels - (j - rx)
            seen = flat[offset : offset + last - first]
            dot = np.float32(0)
            for k in range(last - first):
                dot += middle[k] * seen[k]
            out[i, j] = dot * scales[i, j]


@kernel
def _window(integral: Array, top: int, left: int, lines: int, pixels: int) -> float:
    """Sum over a window of the image that `integral` was made from."""
    bottom, right = top + lines, left + pixels
    total: float = integral[bottom, right] - integral[top, right]
    total += integral[top, left] - integral[bottom, left]
    return total


@kernel
def _coefficient(
    dot: float,
    total: float,
    spread: float,
    sums: Array,
    squares: Array,
    corner: tuple[int, int],
    size: tuple[int, int],
) -> float:
    """Correlation of an image with the window of the pattern at a corner.

    dot: their plain product. total, spread: the image's sum, and its sum of squares
    about its mean. 0 where either is constant.
    """
    count = size[0] * size[1]
    own = _window(sums, corner[0], corner[1], size[0], size[1])
    energy = _window(squares, corner[0], corner[1], size[0], size[1])
    own_spread = energy - own * own / count
    scale = math.sqrt(max(spread, 0.0) * max(own_spread, 0.0))
    return (dot - total * own / count) / scale if scale > 0 else 0.0


@summing_kernel
def cross_scores(
    image: Array,
    pivot: float,
    pattern: Array,
    sums: Array,
    squares: Array,
    y: int,
    x: int,
    out: Array,
) -> None:
    """Normalised correlation at the shift (y, x) and at its four neighbours.

    out: (5,) float64 for (y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1), all
    over the one window of the image that each of them maps into the pattern. pivot: any
    value near the image's mean, against rounding.
    """
    top, bottom = max(0, y + 1), pattern.shape[0] + min(0, y - 1)
    left, right = max(0, x + 1), pattern.shape[1] + min(0, x - 1)
    lines, pixels = bottom - top, right - left
    total = energy = 0.0
    out[:] = 0.0
    zero, level = np.float32(0), np.float32(pivot)
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
        out[k] = _coefficient(out[k], total, spread, sums, squares, corner, size)


@summing_kernel
def strip_scores(
    image: Array,
    pivot: float,
    pattern: Array,
    sums: Array,
    squares: Array,
    places: Array,
    line: Array,
    out: Array,
) -> None:
    """Normalised correlation of each strip of lines, at every shift around its own.

    places: (n, 2) int64, the shift (y, x) that each of n strips is tried around; out:
    (n, k, k) float64, k odd, its middle at that shift. Strips are equally high, the
    last takes what is left. Lines that the largest shifts move out of the pattern are
    left out; a strip without any is 0. line: (pixels,) scratch; pivot: see above.
    """
    reach, height = out.shape[1] // 2, pattern.shape[0] // len(places)
    level = np.float32(pivot)
    for strip in range(len(places)):
        y, x = places[strip]
        ending = pattern.shape[0] if strip + 1 == len(places) else (strip + 1) * height
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
                    seen = pattern[row - y - (i - reach), start : start + pixels]
                    dot = np.float32(0)
                    for col in range(pixels):
                        dot += line[col] * seen[col]
                    scores[i, j] += dot
        spread = energy - total * total / (lines * pixels)
        size = lines, pixels
        for i in range(2 * reach + 1):
            for j in range(2 * reach + 1):
                corner = top - y - (i - reach), left - x - (j - reach)
                scores[i, j] = _coefficient(
                    scores[i, j], total, spread, sums, squares, corner, size
                )


@kernel
def _slide(line: Array, x: float, out: Array) -> None:
    """out[c] = line[c + x], linear between pixels; outside, the nearest pixel."""
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


@kernel
def undo_shifts(frame: Array, shifts: Array, line: Array, out: Array) -> None:
    """out[r, c] = frame[r + y, c + x] with (y, x) = shifts[r], bilinear.

    shifts: (lines, 2) float64, one for each line of out. Outside the frame, the
    nearest edge pixel. line: (pixels,) scratch, one line of the frame between two of
    its rows.
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
        _slide(line, x, out[row])


@kernel
def straighten(frame: Array, offset: float, out: Array) -> None:
    """Write a frame whose odd lines lie `offset` pixels too far right as it should be.

    Even lines stay as they are; odd ones are linear between pixels.
    """
    for row in range(frame.shape[0]):
        if row % 2:
            _slide(frame[row], offset, out[row])
        else:
            out[row] = frame[row]


@kernel
def constant_lines(frame: Array) -> int:
    """Count the lines whose pixels are all equal."""
    count = 0
    for row in range(frame.shape[0]):
        col = 1
        while col < frame.shape[1] and frame[row, col] == frame[row, 0]:
            col += 1
        count += col >= frame.shape[1]
    return count


@kernel
def blend(mean: Array, image: Array, share: float) -> None:
    """Move a running mean towards an image by a share of their difference."""
    weight = np.float32(share)
    for row in range(mean.shape[0]):
        own, new = mean[row], image[row]
        for col in range(mean.shape[1]):
            own[col] += weight * (new[col] - own[col])
