"""Activity where calcium takes time to rise: AR(2), solved over the newest frames."""

from __future__ import annotations

import math
from math import exp

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.numba_jit import kernel
from rtrecon.core.types import Array

# How many frames, beyond those asked about, may still be revised; and how often all of
# them are, per frame. With these, activity two frames late correlates with the exact
# solution of all frames so far by 0.97 where noise is a third of a transient, by 0.99
# where it is a tenth; more of either tells no more of the spikes.
_BEYOND_LAG_FRAMES = 4
_SWEEPS = 2


def response(
    decay_s: float, rise_s: float | None, rate_hz: float, n_frames: int
) -> Array:
    """Return dF/F (n_frames,) float32 after activity of 1 in its first frame; peak 1.

    exp(-t / decay_s) - exp(-t / rise_s), from one frame after the spike on; without
    a rise, exp(-t / decay_s) from the spike on.
    """
    t_s = np.arange(n_frames + math.ceil(5 * decay_s * rate_hz)) / rate_hz
    if rise_s is None:
        return np.exp(-t_s[:n_frames] / decay_s).astype(np.float32)
    t_s += 1 / rate_hz
    shape = np.exp(-t_s / decay_s) - np.exp(-t_s / rise_s)
    return (shape[:n_frames] / shape.max()).astype(np.float32)


class RisingDeconvolver:
    """Least-squares AR(2) deconvolution under activity >= 0, frame by frame.

    A spike makes dF/F rise within `rise_s` and decay within `decay_s`, which is longer;
    activity is in units of dF/F at the peak. Each frame revises the newest
    `deconvolve_lag_frames` + 5 activities by two sweeps of coordinate descent, and what
    is older stays: pooling, exact for AR(1), is not for AR(2).
    """

    def __init__(
        self, n: int, rate_hz: float, settings: TracesSettings, rise_s: float
    ) -> None:
        self._lag = settings.deconvolve_lag_frames
        depth = self._lag + 1 + _BEYOND_LAG_FRAMES
        decay, rise = (exp(-1 / (s * rate_hz)) for s in (settings.decay_s, rise_s))
        self._onward = np.array([decay + rise, -decay * rise], np.float32)
        self._response = response(settings.decay_s, rise_s, rate_hz, depth)
        energy = np.cumsum(self._response.astype(float) ** 2)
        self._gains = (1 / energy).astype(np.float32)
        self._step = np.empty(n, np.float32)
        self._state: dict[str, Array] = {
            "values": np.full((depth, n), np.nan, np.float32),
            "fit": np.zeros((depth, n), np.float32),
            "activity": np.zeros((depth, n), np.float32),
        }

    @property
    def calcium(self) -> Array:
        """(n,) float32: dF/F of the newest frame without its noise; a view."""
        return self._state["fit"][-1]

    def update(self, dff: Array, out: Array) -> None:
        """Take one frame of dF/F, (n,) float32; fill out with the activity, >= 0.

        out belongs to the frame `deconvolve_lag_frames` ago and is NaN where that
        frame was NaN or is before the first. A NaN passes as time without a value.
        """
        state = self._state
        values, fit, activity = state["values"], state["fit"], state["activity"]
        admit(dff, self._onward, values, fit, activity)
        for _ in range(_SWEEPS):
            sweep(self._response, self._gains, values, fit, activity, self._step)
        tell(values[-1 - self._lag], activity[-1 - self._lag], out)

    def state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {name: array.copy() for name, array in self._state.items()}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state of as many neurons, at the same rate."""
        for name, array in self._state.items():
            array[:] = state[name]


@kernel
def admit(dff: Array, onward: Array, values: Array, fit: Array, spikes: Array) -> None:
    """Take in a frame, as if nothing fired in it; the oldest of each leaves.

    values, fit, spikes: (depth, n), newest last. onward: (2,), the fit of a frame by
    the two before it.
    """
    for k in range(len(values) - 1):
        values[k] = values[k + 1]
        fit[k] = fit[k + 1]
        spikes[k] = spikes[k + 1]
    for i in range(dff.size):
        values[-1, i] = dff[i]
        fit[-1, i] = onward[0] * fit[-2, i] + onward[1] * fit[-3, i]
        spikes[-1, i] = 0


@kernel
def sweep(
    response: Array,
    gains: Array,
    values: Array,
    fit: Array,
    spikes: Array,
    step: Array,
) -> None:
    """Move each frame's activity to where the misfit is least, the newest first.

    gains[k]: 1 / sum of squares of response[:k + 1]. step: (n,) scratch. Neurons are
    the inner loop, so that they fill vector registers.
    """
    depth, n = values.shape
    for back in range(depth):
        first = depth - 1 - back
        step[:] = 0
        for k in range(back + 1):
            for i in range(n):
                missed = values[first + k, i] - fit[first + k, i]
                # A lost value asks for nothing.
                step[i] += response[k] * (0 if math.isnan(missed) else missed)
        for i in range(n):
            step[i] = max(gains[back] * step[i], -spikes[first, i])
            spikes[first, i] += step[i]
        for k in range(back + 1):
            for i in range(n):
                fit[first + k, i] += response[k] * step[i]


@kernel
def tell(values: Array, spikes: Array, out: Array) -> None:
    """Fill out with activity of one frame, NaN where that had no value; (n,) each."""
    for i in range(out.size):
        out[i] = np.nan if math.isnan(values[i]) else spikes[i]
