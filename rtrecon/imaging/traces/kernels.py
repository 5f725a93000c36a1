"""Kernels of traces: from a registered image to activity.

Arrays in, `out` filled, no policy and no memory kept; see `compiled`.
"""

from __future__ import annotations

import math

import numpy as np

from rtrecon.core.numba_jit import kernel
from rtrecon.core.types import Array


@kernel
def means(sums: Array, shares: Array, cell_out: Array, ring_out: Array) -> None:
    """Split sums of cells and of rings, (2 n,), times 1 / pixels, into (n,) each."""
    n = cell_out.size
    for i in range(n):
        cell_out[i] = sums[i] * shares[i]
        ring_out[i] = sums[n + i] * shares[n + i]


@kernel
def weighted_sums(
    pixels: Array,
    places: Array,
    indptr: Array,
    index: Array,
    weights: Array,
    out: Array,
) -> None:
    """out[places[i]] = weighted sum of the flat pixels of mask i, which has some.

    index: uint32: unsigned, so that no read has to ask whether it counts from the
    end. Four sums run side by side, for one would wait for each addition; they are
    written out, for a compiler that may reorder gathers by vectors, which is slower.
    """
    for i in range(places.size):
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
        out[places[i]] = (sum0 + sum1) + (sum2 + sum3)


@kernel
def run_sums(
    image: Array,
    spans: tuple[Array, Array, Array],
    starts: tuple[Array, Array, Array],
    stops: tuple[Array, Array, Array],
    column: Array,
    out: Array,
) -> None:
    """out[i] = sum of the pixels of mask i, given as runs of pixels down the columns.

    `column` (pixels,) holds each column's sum so far: a run's sum is what it holds
    where the run stops less what it held where it started. starts, stops: (first,
    column, mask): entries first[row]:first[row + 1] are of that row, in no order within
    it: two in a row for one mask would wait for each other. spans: (first, start, stop)
    of the columns that some run passes through in a row, which alone are summed.
    """
    out[:] = 0
    column[:] = 0
    for row in range(image.shape[0] + 1):
        for k in range(starts[0][row], starts[0][row + 1]):
            out[starts[2][k]] -= column[starts[1][k]]
        for k in range(stops[0][row], stops[0][row + 1]):
            out[stops[2][k]] += column[stops[1][k]]
        for k in range(spans[0][row], spans[0][row + 1]):
            line = image[row, spans[1][k] : spans[2][k]]
            own = column[spans[1][k] : spans[2][k]]
            for col in range(line.size):
                own[col] += line[col]


@kernel
def demix(
    neuropil: Array,
    shares: tuple[Array, Array, Array],
    sweeps: int,
    above: Array,
    cell: Array,
) -> None:
    """Solve above + shares @ above = cell - neuropil; cell becomes above + neuropil.

    shares: rows of a sparse matrix (indptr, index, value) without a diagonal. A cell
    without neuropil (NaN) stands on zero; one that is NaN itself is left as it is and
    takes nothing from others. above: (n,) scratch.
    """
    indptr, index, values = shares
    for i in range(cell.size):
        under = 0.0 if math.isnan(neuropil[i]) else neuropil[i]
        above[i] = 0.0 if math.isnan(cell[i]) else cell[i] - under
    for _ in range(sweeps):
        for i in range(cell.size):
            if indptr[i] == indptr[i + 1] or math.isnan(cell[i]):
                continue
            under = 0.0 if math.isnan(neuropil[i]) else neuropil[i]
            rest = cell[i] - under
            for k in range(indptr[i], indptr[i + 1]):
                rest -= values[k] * above[index[k]]
            above[i] = rest
    for i in range(cell.size):
        if indptr[i] < indptr[i + 1] and not math.isnan(cell[i]):
            under = 0.0 if math.isnan(neuropil[i]) else neuropil[i]
            cell[i] = above[i] + under


@kernel
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


@kernel
def relative_change(
    rest: Array, scale: Array, offset: float, least: tuple[float, float], out: Array
) -> None:
    """Make out (out - rest) / (scale - offset); all are (n,).

    least: of the divisor, in counts and as a share of its mean over those known.
    """
    total, known = 0.0, 0
    for i in range(scale.size):
        if not math.isnan(scale[i]):
            total += scale[i] - offset
            known += 1
    floor = max(least[0], least[1] * total / max(known, 1))
    for i in range(scale.size):
        out[i] = (out[i] - rest[i]) / max(scale[i] - offset, floor)


@kernel
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


@kernel
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
