"""Deconvolution for calcium that takes time to rise: AR(2), over the newest frames."""

from __future__ import annotations

import math
from math import exp

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array

# How many frames beyond the lag may still be revised, and how often all of them are,
# per frame. With these values, activity two frames late correlates with the exact
# solution of all frames so far by 0.97 where noise is a third of a transient, by 0.99
# where it is a tenth; larger values hold no more information about the spikes.
_FRAMES_BEYOND_LAG = 4
_SWEEPS = 2


def compute_calcium_response(
    decay_s: float, rise_s: float | None, rate_hz: float, n_frames: int
) -> Array:
    """Return dF/F (n_frames,) float32 after activity of 1 in its first frame; peak 1.

    exp(-t / decay_s) - exp(-t / rise_s), from one frame after the spike on; without a
    rise time, exp(-t / decay_s) from the spike on.
    """
    t_s = np.arange(n_frames + math.ceil(5 * decay_s * rate_hz)) / rate_hz
    if rise_s is None:
        return np.exp(-t_s[:n_frames] / decay_s).astype(np.float32)
    t_s += 1 / rate_hz
    shape = np.exp(-t_s / decay_s) - np.exp(-t_s / rise_s)
    return (shape[:n_frames] / shape.max()).astype(np.float32)


class Ar2Deconvolver:
    """Least-squares AR(2) deconvolution with activity >= 0, frame by frame.

    A spike makes dF/F rise within `rise_s` and decay within `indicator_decay_s`, which
    is longer; activity is in units of dF/F at the peak. Each frame revises the newest
    `deconvolution_lag_frames` + 5 activities by two sweeps of coordinate descent, and
    older ones no longer change: pooling, exact for AR(1), is not exact for AR(2).
    """

    def __init__(
        self, n: int, rate_hz: float, settings: TracesSettings, rise_s: float
    ) -> None:
        self._lag = settings.deconvolution_lag_frames
        depth = self._lag + 1 + _FRAMES_BEYOND_LAG
        decay_s = settings.indicator_decay_s
        decay, rise = (exp(-1 / (s * rate_hz)) for s in (decay_s, rise_s))
        self._coefficients = np.array([decay + rise, -decay * rise], np.float32)
        self._response = compute_calcium_response(decay_s, rise_s, rate_hz, depth)
        energy = np.cumsum(self._response.astype(float) ** 2)
        self._gains = (1 / energy).astype(np.float32)
        self._step = np.empty(n, np.float32)
        self._state: dict[str, Array] = {
            "values": np.full((depth, n), np.nan, np.float32),
            "fit": np.zeros((depth, n), np.float32),
            "activity": np.zeros((depth, n), np.float32),
        }

    @property
    def denoised_dff(self) -> Array:
        """(n,) float32: dF/F of the newest frame without its noise; a view."""
        return self._state["fit"][-1]

    def deconvolve_frame(self, dff: Array, out: Array) -> None:
        """Include one frame of dF/F, (n,) float32; fill out with activity, >= 0.

        out belongs to the frame `deconvolution_lag_frames` ago. It is NaN where that
        frame was NaN or lies before the first. A NaN counts as time without a value.
        """
        state = self._state
        values, fit, activity = state["values"], state["fit"], state["activity"]
        push_frame(dff, self._coefficients, values, fit, activity)
        for _ in range(_SWEEPS):
            sweep_activity(
                self._response, self._gains, values, fit, activity, self._step
            )
        read_lagged(values[-1 - self._lag], activity[-1 - self._lag], out)

    def get_state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {name: array.copy() for name, array in self._state.items()}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state of as many neurons, at the same rate."""
        for name, array in self._state.items():
            array[:] = state[name]


@jit_kernel
def push_frame(
    dff: Array, coefficients: Array, values: Array, fit: Array, activity: Array
) -> None:
    """Append a frame, as if nothing fired in it; the oldest frame is dropped.

    values, fit, activity: (depth, n), newest last. coefficients: (2,), of the fit in
    the two frames before.
    """
    for k in range(len(values) - 1):
        values[k] = values[k + 1]
        fit[k] = fit[k + 1]
        activity[k] = activity[k + 1]
    for i in range(dff.size):
        values[-1, i] = dff[i]
        fit[-1, i] = coefficients[0] * fit[-2, i] + coefficients[1] * fit[-3, i]
        activity[-1, i] = 0


@jit_kernel
def sweep_activity(
    response: Array,
    gains: Array,
    values: Array,
    fit: Array,
    activity: Array,
    step: Array,
) -> None:
    """Change each frame's activity to where the misfit is least, the newest first.

    gains[k]: 1 / sum of squares of response[:k + 1]. step: (n,) scratch. Neurons are
    the inner loop, so that they fill vector registers.
    """
    depth, n = values.shape
    for back in range(depth):
        first = depth - 1 - back
        step[:] = 0
        for k in range(back + 1):
            for i in range(n):
                misfit = values[first + k, i] - fit[first + k, i]
                # A missing value has no misfit.
                step[i] += response[k] * (0 if math.isnan(misfit) else misfit)
        for i in range(n):
            step[i] = max(gains[back] * step[i], -activity[first, i])
            activity[first, i] += step[i]
        for k in range(back + 1):
            for i in range(n):
                fit[first + k, i] += response[k] * step[i]


@jit_kernel
def read_lagged(values: Array, activity: Array, out: Array) -> None:
    """Fill out with the activity of one frame, NaN where it had no value; (n,) each."""
    for i in range(out.size):
        out[i] = np.nan if math.isnan(values[i]) else activity[i]
