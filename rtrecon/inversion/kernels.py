"""Compiled kernels of the inversion: arrays in, outputs filled, no state.

They compute a movie from its prior and the local part of `CompactEncoder`, forward and
backward, one coefficient or one neuron at a time, so that its frames stay in the
nearest cache. Time is the last axis of the arrays: T frames of n neurons or C
coefficients, all float32. A kernel compiles at its first call, is cached on disk, runs
on one thread and releases the interpreter lock.
"""

from __future__ import annotations

import math

import numpy as np

from rtrecon.core.numba_jit import jit_summing_kernel
from rtrecon.core.types import Array
from rtrecon.encoder.compact import EPSILON, MEMORY_FRAMES

_FLOOR, _ZERO = np.float32(EPSILON), np.float32(0)  # doubles would halve the speed


@jit_summing_kernel
def unroll_frames(
    z: Array, before: Array, prior: tuple[Array, ...], frames: Array
) -> None:
    """Fill frames (C, T) as `WindowPrior.generate_frames` does.

    z: (1 + T, C) innovations. before: (C,) the frame before the window, less its mean.
    prior: mean (C, T), AR coefficient (C,), innovation s.d. (C, T) and frame error s.d.
    (C,).
    """
    mean, ar, innovation_sd, error_sd = prior
    for c in range(len(ar)):
        state = before[c] + error_sd[c] * z[0, c]
        for t in range(len(z) - 1):
            state = ar[c] * state + innovation_sd[c, t] * z[t + 1, c]
            frames[c, t] = mean[c, t] + state


@jit_summing_kernel
def backpropagate_frames(
    by_frame: Array, prior: tuple[Array, ...], by_z: Array
) -> None:
    """Add to by_z (1 + T, C) the gradient by z, given by_frame (C, T)."""
    _, ar, innovation_sd, error_sd = prior
    for c in range(len(ar)):
        state = _ZERO
        for t in range(len(by_z) - 2, -1, -1):
            state = ar[c] * state + by_frame[c, t]
            by_z[t + 1, c] += innovation_sd[c, t] * state
        by_z[0, c] += error_sd[c] * ar[c] * state


@jit_summing_kernel
def compute_drive(
    seen: Array, taps: Array, halves: Array, channels: Array, out: Array
) -> None:
    """Fill out (n, T) with each neuron's drive: filter in time, rectify, square, sum.

    seen: (n, 2 filters, T + MEMORY - 1), oldest first. taps: (n, 2 channels, 2 filters,
    MEMORY), oldest first. halves: (n, 2 channels, 2), weights of the positive and the
    negative half. channels: (n, 2, T or more), filled with the filtered signals before
    they are rectified and squared.
    """
    n_neurons, n_frames = out.shape
    for i in range(n_neurons):
        for c in range(2):
            _filter_in_time(seen[i], taps[i, c], channels[i, c, :n_frames])
        x, y = channels[i]
        (x_up, x_down), (y_up, y_down) = halves[i]
        for t in range(n_frames):
            energy = _FLOOR + (x_up if x[t] > 0 else x_down) * x[t] * x[t]
            energy += (y_up if y[t] > 0 else y_down) * y[t] * y[t]
            out[i, t] = math.sqrt(energy)


@jit_summing_kernel
def backpropagate_drive(
    by_drive: Array,
    drive: Array,
    filters: tuple[Array, Array],
    channels: Array,
    by_seen: Array,
) -> None:
    """Fill by_seen (n, 2 filters, T) with the gradient, given by_drive (n, T).

    filters: taps (n, 2 filters, 2 channels, MEMORY), newest first, and halves. drive
    and channels: as `compute_drive` filled them; channels (n, 2, T + MEMORY - 1) have
    to end in zeros, and are overwritten.
    """
    taps, halves = filters
    n_neurons, n_frames = drive.shape
    for i in range(n_neurons):
        for c in range(2):
            channel = channels[i, c]
            up, down = halves[i, c]
            for t in range(n_frames):
                half = up if channel[t] > 0 else down
                channel[t] *= half * by_drive[i, t] / drive[i, t]
        for f in range(2):
            _filter_in_time(channels[i], taps[i, f], by_seen[i, f])


@jit_summing_kernel
def _filter_in_time(signals: Array, taps: Array, out: Array) -> None:
    """Fill out (T,) with sums of MEMORY values of two signals (2, T + MEMORY - 1)."""
    a, b = signals[0], signals[1]
    by_a, by_b = taps[0], taps[1]
    for t in range(len(out)):
        total = _ZERO
        for k in range(
            MEMORY_FRAMES
        ):  # its length is constant, so the compiler vectorises the loop over t
            total += by_a[k] * a[t + k] + by_b[k] * b[t + k]
        out[t] = total
