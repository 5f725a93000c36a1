"""Compiled inner loops of traces: from a registered image to activity.

Kernels take arrays and fill `out`; see `rtrecon.core.numba_jit`.
"""

from __future__ import annotations

import math

import numpy as np

from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array


@jit_kernel
def scale_sums(
    sums: Array, scales: Array, cell_out: Array, neuropil_out: Array
) -> None:
    """Scale the sums of cells and of neuropil, (2 n,), and split them into (n,) each.

    scales: (2 n,), 1 / pixels of each mask.
    """
    n = cell_out.size
    for i in range(n):
        cell_out[i] = sums[i] * scales[i]
        neuropil_out[i] = sums[n + i] * scales[n + i]


@jit_kernel
def sum_weighted_masks(
    pixels: Array,
    cells: Array,
    indptr: Array,
    index: Array,
    weights: Array,
    out: Array,
) -> None:
    """Set out[cells[i]] to the weighted sum of the flat pixels of mask i.

    index: uint32, because a read by an unsigned index need not check whether it counts
    from the end. Four sums run side by side, because a single one would wait for each
    addition. They are written out, because a compiler that may reorder sums gathers
    whole vectors, which is slower.
    """
    for i in range(cells.size):
        first, count = indptr[i], indptr[i + 1] - indptr[i]
        mask_index = index[first : first + count]
        mask_weights = weights[first : first + count]
        sum0 = sum1 = sum2 = sum3 = np.float32(0)
        whole = count - count % 4
        for k in range(0, whole, 4):
            sum0 += mask_weights[k] * pixels[mask_index[k]]
            sum1 += mask_weights[k + 1] * pixels[mask_index[k + 1]]
            sum2 += mask_weights[k + 2] * pixels[mask_index[k + 2]]
            sum3 += mask_weights[k + 3] * pixels[mask_index[k + 3]]
        for k in range(whole, count):
            sum0 += mask_weights[k] * pixels[mask_index[k]]
        out[cells[i]] = (sum0 + sum1) + (sum2 + sum3)


@jit_kernel
def sum_runs(
    image: Array,
    spans: tuple[Array, Array, Array],
    starts: tuple[Array, Array, Array],
    stops: tuple[Array, Array, Array],
    column: Array,
    out: Array,
) -> None:
    """Set out[i] to the sum of the pixels of mask i, given as runs down the columns.

    `column` (pixels,) holds the running sum of each column: a run's sum is its value at
    the end of the run minus its value at the start. starts, stops: (first, column,
    mask); entries first[row]:first[row + 1] belong to that row, in random order,
    because two in a row for the same mask would wait for each other. spans: (first,
    start, stop) of the columns in which some mask has pixels in a row; only these are
    summed.
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
            running = column[spans[1][k] : spans[2][k]]
            for col in range(line.size):
                running[col] += line[col]


@jit_kernel
def demix_cells(
    neuropil: Array,
    crosstalk: tuple[Array, Array, Array],
    sweeps: int,
    above: Array,
    cell: Array,
) -> None:
    """Solve above + crosstalk @ above = cell - neuropil; set cell = above + neuropil.

    crosstalk: rows of a sparse matrix (indptr, index, value) without a diagonal. A cell
    without neuropil (NaN) has a background of zero; a cell that is NaN itself does not
    change, and the others lose nothing to it. above: (n,) scratch.
    """
    indptr, index, values = crosstalk
    for i in range(cell.size):
        background = 0.0 if math.isnan(neuropil[i]) else neuropil[i]
        above[i] = 0.0 if math.isnan(cell[i]) else cell[i] - background
    for _ in range(sweeps):
        for i in range(cell.size):
            if indptr[i] == indptr[i + 1] or math.isnan(cell[i]):
                continue
            background = 0.0 if math.isnan(neuropil[i]) else neuropil[i]
            remainder = cell[i] - background
            for k in range(indptr[i], indptr[i + 1]):
                remainder -= values[k] * above[index[k]]
            above[i] = remainder
    for i in range(cell.size):
        if indptr[i] < indptr[i + 1] and not math.isnan(cell[i]):
            background = 0.0 if math.isnan(neuropil[i]) else neuropil[i]
            cell[i] = above[i] + background


@jit_kernel
def update_baseline(
    values: Array,
    rate: float,
    smooth: Array,
    n_values: Array,
    block: Array,
    lowest: Array,
    out: Array,
) -> None:
    """Update the minimum of the smoothed traces over a trailing window by one frame.

    rate: weight of a new value in `smooth`. n_values: int64, values so far. block,
    lowest: minimum of the smoothed trace over the newest block and over the window.
    All are (n,). A NaN changes nothing of its trace and gives NaN.
    """
    for i in range(values.size):
        if math.isnan(values[i]):
            out[i] = np.nan
            continue
        n_values[i] += 1
        # A plain mean until it covers the smoothing time: a first value that happens
        # to be low must not stay the minimum for a whole window.
        is_starting = n_values[i] * rate < 1
        smooth[i] += (values[i] - smooth[i]) * (
            1 / n_values[i] if is_starting else rate
        )
        if is_starting:
            out[i] = smooth[i]
            continue
        block[i] = min(block[i], smooth[i])
        lowest[i] = min(lowest[i], smooth[i])
        out[i] = lowest[i]


@jit_kernel
def compute_dff(
    rest: Array, scale: Array, offset: float, least: tuple[float, float], out: Array
) -> None:
    """Replace out by (out - rest) / (scale - offset); all are (n,).

    least: smallest divisor, in counts and as a fraction of its mean over the neurons
    that are not NaN.
    """
    total, n_values = 0.0, 0
    for i in range(scale.size):
        if not math.isnan(scale[i]):
            total += scale[i] - offset
            n_values += 1
    floor = max(least[0], least[1] * total / max(n_values, 1))
    for i in range(scale.size):
        out[i] = (out[i] - rest[i]) / max(scale[i] - offset, floor)


@jit_kernel
def deconvolve_ar1(
    values: Array,
    powers: Array,
    lag: int,
    pools: Array,
    newest: Array,
    n_pools: Array,
    missing: Array,
    denoised: Array,
    out: Array,
) -> None:
    """Include one frame in the non-negative AR(1) deconvolution of every neuron.

    powers: decay ** (0, 1, 2, ...), the last entry standing for all that follow.
    pools: (n, depth, 3) ring buffers of (height, weight, length in frames), of which
    `n_pools` (n,) are in use, up to entry `newest` (n,); lag < depth - 1. missing: (n,)
    uint32, one bit per frame, set where the value was NaN. denoised: the value of the
    newest frame without noise. out: activity `lag` frames ago, NaN where that frame had
    no value.
    """
    depth, last_power = pools.shape[1], powers.size - 1
    for i in range(values.size):
        pool, k, count = pools[i], newest[i], n_pools[i]
        is_missing = math.isnan(values[i])
        missing[i] = (missing[i] << 1) | is_missing
        if not is_missing:
            k = k + 1 if k + 1 < depth else 0
            count = min(count + 1, depth)
            pool[k, 0], pool[k, 1], pool[k, 2] = values[i], 1, 1
        elif count:
            pool[k, 2] += 1
        while count > 1:
            before = k - 1 if k else depth - 1
            decay = powers[min(int(pool[before, 2]), last_power)]
            if pool[k, 0] >= decay * pool[before, 0]:
                break
            gain = decay * pool[k, 1]
            total = pool[before, 1] + decay * gain
            rise = gain * (pool[k, 0] - decay * pool[before, 0])
            pool[before, 0] += rise / total
            pool[before, 1] = total
            pool[before, 2] += pool[k, 2]
            k, count = before, count - 1
        newest[i], n_pools[i] = k, count
        age = min(int(pool[k, 2]) - 1, last_power)
        denoised[i] = max(pool[k, 0], 0) * powers[age] if count else np.nan
        out[i] = _read_jump(pool, powers, k, count, lag)
        if (missing[i] >> lag) & 1:
            out[i] = np.nan


@jit_kernel
def _read_jump(pool: Array, powers: Array, k: int, count: int, lag: int) -> float:
    """Return the rise of a pool that began `lag` frames ago over the one before it."""
    frames = pool[k, 2]
    while frames <= lag and count > 1:
        k = k - 1 if k else len(pool) - 1
        frames += pool[k, 2]
        count -= 1
    if frames != lag + 1:
        return 0.0
    rise = max(pool[k, 0], 0)
    if count > 1:
        before = k - 1 if k else len(pool) - 1
        decay = powers[min(int(pool[before, 2]), powers.size - 1)]
        rise -= decay * max(pool[before, 0], 0)
    jump: float = max(rise, 0)
    return jump
