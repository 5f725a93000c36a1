"""Everything that is compiled: arrays in, `out` filled, no policy and no memory kept.

Kernels compile at their first call for the array types they are given (`Chain.warm_up`
does that for a live session) and are cached on disk. They run on one thread and hold
no lock. Frames are int16 or uint16, everything else float32 unless said otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from rtrecon.wire import Array

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _kernel(function: _Function) -> _Function:
    """Compile as written: NaN is respected and sums keep their order."""
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast(_Function, compiled)


def _summing_kernel(function: _Function) -> _Function:
    """Compile with sums reordered, so that they fill vector registers."""
    compiled = numba.njit(
        cache=True,
        nogil=True,
        error_model="numpy",
        fastmath={"reassoc", "contract", "nsz"},
    )(function)
    return cast(_Function, compiled)


@_kernel
def halve(image: Array, out: Array) -> None:
    """Mean over boxes of 2 x 2 pixels; an odd last line or pixel is left out."""
    for row in range(out.shape[0]):
        upper, lower = image[2 * row], image[2 * row + 1]
        for col in range(out.shape[1]):
            total = np.float32(upper[2 * col]) + np.float32(upper[2 * col + 1])
            total += np.float32(lower[2 * col]) + np.float32(lower[2 * col + 1])
            out[row, col] = np.float32(0.25) * total


@_summing_kernel
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


@_summing_kernel
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


@_kernel
def _window(integral: Array, top: int, left: int, lines: int, pixels: int) -> float:
    """Sum over a window of the image that `integral` was made from."""
    bottom, right = top + lines, left + pixels
    total: float = integral[bottom, right] - integral[top, right]
    total += integral[top, left] - integral[bottom, left]
    return total


@_summing_kernel
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
    over the one window of the image that each of them maps into the pattern. sums,
    squares: float64 integral images of the pattern and of its square, one line and
    one pixel larger. pivot: any value near the image's mean, against rounding.
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
    count = lines * pixels
    spread = energy - total * total / count
    for k, dy, dx in ((0, 0, 0), (1, -1, 0), (2, 1, 0), (3, 0, -1), (4, 0, 1)):
        own = _window(sums, top - y - dy, left - x - dx, lines, pixels)
        own_energy = _window(squares, top - y - dy, left - x - dx, lines, pixels)
        own_spread = own_energy - own * own / count
        scale = math.sqrt(max(spread, 0.0) * max(own_spread, 0.0))
        out[k] = (out[k] - total * own / count) / scale if scale > 0 else 0.0


@_kernel
def undo_shift(frame: Array, y: float, x: float, line: Array, out: Array) -> None:
    """out[r, c] = frame[r + y, c + x], bilinear; outside, the nearest edge pixel.

    line: (pixels + 1,) scratch, one line of the frame between two of its rows.
    """
    lines, pixels = out.shape
    y0, x0 = math.floor(y), math.floor(x)
    fy, fx = np.float32(y - y0), np.float32(x - x0)
    first = min(max(-x0, 0), pixels + 1)
    last = max(min(pixels - x0, pixels + 1), first)
    for row in range(lines):
        upper = frame[min(max(row + y0, 0), lines - 1)]
        lower = frame[min(max(row + y0 + 1, 0), lines - 1)]
        inside = line[first:last]
        here, below = upper[first + x0 : last + x0], lower[first + x0 : last + x0]
        for col in range(last - first):
            value = np.float32(here[col])
            inside[col] = value + fy * (np.float32(below[col]) - value)
        edge = np.float32(upper[0])
        line[:first] = edge + fy * (np.float32(lower[0]) - edge)
        edge = np.float32(upper[pixels - 1])
        line[last:] = edge + fy * (np.float32(lower[pixels - 1]) - edge)
        moved = out[row]
        for col in range(pixels):
            moved[col] = line[col] + fx * (line[col + 1] - line[col])


@_kernel
def sums_down(image: Array, out: Array) -> None:
    """out[r, c] = sum of the first r rows of column c; out: (lines + 1, pixels)."""
    out[0] = 0
    for row in range(image.shape[0]):
        line, above, below = image[row], out[row], out[row + 1]
        for col in range(image.shape[1]):
            below[col] = above[col] + line[col]


@_kernel
def weighted_sums(
    pixels: Array, indptr: Array, index: Array, weights: Array, out: Array
) -> None:
    """out[i] = weighted sum of the flat pixels of mask i; NaN for an empty mask.

    index: uint32: unsigned, so that no read has to ask whether it counts from the
    end. Four sums run side by side, for one would wait for each addition; they are
    written out, for a compiler that may reorder gathers by vectors, which is slower.
    """
    for i in range(out.size):
        first, count = indptr[i], indptr[i + 1] - indptr[i]
        own_index = index[first : first + count]
        own_weights = weights[first : first + count]
        sum0 = sum1 = sum2 = sum3 = np.float32(0)
        whole = count - count % 4
        for k in range(0, whole, 4):
            sum0 += own_weights[k] * pixels[own_index[k]]
            sum1 += own_weights[k + 1] * pixels[own_index[k + 1]]
            sum2 += own_weights[k + 2] * pixels[own_index[k + 2]]
            sum3 += own_weights[k + 3] * pixels[own_index[k + 3]]
        for k in range(whole, count):
            sum0 += own_weights[k] * pixels[own_index[k]]
        out[i] = (sum0 + sum1) + (sum2 + sum3) if count else np.nan


@_kernel
def run_means(
    sums: Array, indptr: Array, starts: Array, stops: Array, counts: Array, out: Array
) -> None:
    """out[i] = mean over the downward runs of pixels of mask i; NaN if it has none.

    sums: flat output of `sums_down`; a run is the difference of its entries at
    stops and starts (uint32). counts: (n,) pixels per mask.
    """
    for i in range(out.size):
        first, count = indptr[i], indptr[i + 1] - indptr[i]
        own_starts = starts[first : first + count]
        own_stops = stops[first : first + count]
        below, above = np.float32(0), np.float32(0)
        for k in range(count):
            below += sums[own_stops[k]]
            above += sums[own_starts[k]]
        out[i] = (below - above) / counts[i] if count else np.nan


@_kernel
def running_baseline(
    values: Array,
    rate: float,
    smooth: Array,
    seen: Array,
    block: Array,
    lowest: Array,
    out: Array,
) -> None:
    """One frame of the minimum, over a trailing window, of the smoothed traces.

    rate: share of a new value in `smooth`. seen: int64 count of values so far. block,
    lowest: minimum of the smoothed trace over the newest block and over the window.
    All are (n,). A NaN changes nothing of its trace and yields NaN.
    """
    for i in range(values.size):
        if math.isnan(values[i]):
            out[i] = np.nan
            continue
        seen[i] += 1
        # A plain mean until it spans the smoothing time: a first value that
        # happens to be low must not stay the minimum for a whole window.
        settling = seen[i] * rate < 1
        smooth[i] += (values[i] - smooth[i]) * (1 / seen[i] if settling else rate)
        if settling:
            out[i] = smooth[i]
            continue
        block[i] = min(block[i], smooth[i])
        lowest[i] = min(lowest[i], smooth[i])
        out[i] = lowest[i]


@_kernel
def deconvolve(
    values: Array,
    powers: Array,
    lag: int,
    pools: Array,
    newest: Array,
    held: Array,
    missing: Array,
    calcium: Array,
    out: Array,
) -> None:
    """One frame of non-negative AR(1) deconvolution by pooling, for every neuron.

    powers: decay ** (0, 1, 2, ...), the last entry standing for all that follow.
    pools: (n, depth, 3) rings of (height, weight, length in frames), of which `held`
    (n,) are in use up to entry `newest` (n,); lag < depth - 1. missing: (n,) uint32,
    one bit per frame, set where the value was NaN. calcium: denoised value now. out:
    activity `lag` frames ago, NaN where there was no value.
    """
    depth, last_power = pools.shape[1], powers.size - 1
    for i in range(values.size):
        ring, k, count = pools[i], newest[i], held[i]
        absent = math.isnan(values[i])
        missing[i] = (missing[i] << 1) | absent
        if not absent:
            k = k + 1 if k + 1 < depth else 0
            count = min(count + 1, depth)
            ring[k, 0], ring[k, 1], ring[k, 2] = values[i], 1, 1
        elif count:
            ring[k, 2] += 1
        while count > 1:
            before = k - 1 if k else depth - 1
            decay = powers[min(int(ring[before, 2]), last_power)]
            if ring[k, 0] >= decay * ring[before, 0]:
                break
            gain = decay * ring[k, 1]
            total = ring[before, 1] + decay * gain
            rise = gain * (ring[k, 0] - decay * ring[before, 0])
            ring[before, 0] += rise / total
            ring[before, 1] = total
            ring[before, 2] += ring[k, 2]
            k, count = before, count - 1
        newest[i], held[i] = k, count
        age = min(int(ring[k, 2]) - 1, last_power)
        calcium[i] = max(ring[k, 0], 0) * powers[age] if count else np.nan
        out[i] = _jump(ring, powers, k, count, lag)
        if (missing[i] >> lag) & 1:
            out[i] = np.nan


@_kernel
def _jump(ring: Array, powers: Array, k: int, count: int, lag: int) -> float:
    """By how much a pool that began `lag` frames ago rises over the one before it."""
    frames = ring[k, 2]
    while frames <= lag and count > 1:
        k = k - 1 if k else len(ring) - 1
        frames += ring[k, 2]
        count -= 1
    if frames != lag + 1:
        return 0.0
    rise = max(ring[k, 0], 0)
    if count > 1:
        before = k - 1 if k else len(ring) - 1
        decay = powers[min(int(ring[before, 2]), powers.size - 1)]
        rise -= decay * max(ring[before, 0], 0)
    jump: float = max(rise, 0)
    return jump
