"""The compiled part of the inversion: arrays in, outputs filled, no memory kept.

A movie's prior and the local part of `Compact`, forward and back. They go one
coefficient or one neuron at a time, so that its frames stay in the nearest cache, and
arrays have time last: T frames of n neurons or C coefficients, all float32. Kernels
compile at their first call, are cached on disk, run on one thread and hold no lock.
"""

from __future__ import annotations

import math

import numpy as np

from rtrecon.core.numba_jit import summing_kernel
from rtrecon.core.types import Array
from rtrecon.encoder.compact import FLOOR, MEMORY

_FLOOR, _ZERO = np.float32(FLOOR), np.float32(0)  # doubles would halve the speed


@summing_kernel
def unroll(z: Array, before: Array, prior: tuple[Array, ...], frames: Array) -> None:
    """Do what `Prior.unroll` does, with frames (C, T) to fill.

    z: (1 + T, C). prior: mean, rho, q, doubt.
    """
    mean, rho, q, doubt = prior
    for c in range(len(mean)):
        state = before[c] - mean[c] + doubt[c] * z[0, c]
        for t in range(len(z) - 1):
            state = rho[c] * state + q[c] * z[t + 1, c]
            frames[c, t] = mean[c] + state


@summing_kernel
def pull_frames(by_frame: Array, prior: tuple[Array, ...], by_z: Array) -> None:
    """Add to by_z (1 + T, C) what derivatives by_frame (C, T) mean for z."""
    _, rho, q, doubt = prior
    for c in range(len(rho)):
        state = _ZERO
        for t in range(len(by_z) - 2, -1, -1):
            state = rho[c] * state + by_frame[c, t]
            by_z[t + 1, c] += q[c] * state
        by_z[0, c] += doubt[c] * rho[c] * state


@summing_kernel
def drive(seen: Array, taps: Array, halves: Array, channels: Array, out: Array) -> None:
    """Filter in time, half-square and sum: each neuron's drive, out (n, T).

    seen: (n, 2 filters, T + MEMORY - 1), oldest first. taps: (n, 2 channels, 2 filters,
    MEMORY), oldest first. halves: (n, 2 channels, 2), weights of the positive and the
    negative half. channels: (n, 2, T or more), filled with what is half-squared.
    """
    n_neurons, n_frames = out.shape
    for i in range(n_neurons):
        for c in range(2):
            _filter(seen[i], taps[i, c], channels[i, c, :n_frames])
        x, y = channels[i]
        (x_up, x_down), (y_up, y_down) = halves[i]
        for t in range(n_frames):
            energy = _FLOOR + (x_up if x[t] > 0 else x_down) * x[t] * x[t]
            energy += (y_up if y[t] > 0 else y_down) * y[t] * y[t]
            out[i, t] = math.sqrt(energy)


@summing_kernel
def pull_drive(
    by_drive: Array,
    drive: Array,
    filters: tuple[Array, Array],
    channels: Array,
    by_seen: Array,
) -> None:
    """Fill by_seen (n, 2 filters, T) with what derivatives by_drive (n, T) mean for it.

    filters: taps (n, 2 filters, 2 channels, MEMORY), newest first, and halves. drive
    and channels: as the kernel `drive` left them, but channels (n, 2, T + MEMORY - 1)
    go on with zeros; they are lost.
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
            _filter(channels[i], taps[i, f], by_seen[i, f])


@summing_kernel
def _filter(signals: Array, taps: Array, out: Array) -> None:
    """Fill out (T,) with sums of MEMORY values of two signals (2, T + MEMORY - 1)."""
    a, b = signals[0], signals[1]
    by_a, by_b = taps[0], taps[1]
    for t in range(len(out)):
        total = _ZERO
        for k in range(MEMORY):  # a fixed number, so t is what is vectorised
            total += by_a[k] * a[t + k] + by_b[k] * b[t + k]
        out[t] = total
