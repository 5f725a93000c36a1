"""Noise and signal-to-noise ratio of each neuron's trace, as a session runs."""

from __future__ import annotations

import math

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array
from rtrecon.imaging.traces.deconvolution_ar2 import compute_calcium_response

# Time constant of the estimates: enough for 2 %, and it follows slow changes.
_MEMORY_S = 60.0
_MIN_MEMORY_FRAMES = 30.0  # of a slow microscope
# Median and mean distance of two values under Gaussian noise of s.d. 1.
_MEDIAN_DISTANCE, _MEAN_DISTANCE = 0.67449 * math.sqrt(2), 2 / math.sqrt(math.pi)
# A tracked median moves by this fraction of itself, divided by the frames remembered:
# then it settles as fast as it forgets (from the density of distances at the median).
_STEP = 1.17
_START_FRAMES = 30  # a plain mean, until there is a median to track
_TRANSIENT_WINDOW = 0.25  # of the indicator's decay: dF/F is averaged over this time
_MIN_TRANSIENT_SD = 4.0  # in s.d. of the noise that remains in that average
_MAX_TRANSIENTS = 20.0  # transients remembered


def count_remembered_frames(rate_hz: float) -> float:
    """Return over how many frames the estimates are running means."""
    return max(_MIN_MEMORY_FRAMES, _MEMORY_S * rate_hz)


class RunningNoise:
    """Noise of each neuron's values, estimated from their frame-to-frame changes.

    The median of the changes is tracked, which neither transients nor drift move much.
    `sd`: (n,) float32, s.d. of the noise in one frame, in the units of the values; NaN
    until known.
    """

    def __init__(self, n: int, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._state: dict[str, Array] = {
            "last": np.full(n, np.nan, np.float32),
            "n_changes": np.zeros(n, np.int64),
            "sd": np.full(n, np.nan, np.float32),
        }

    @property
    def sd(self) -> Array:
        """The noise as it is known now; a view."""
        return self._state["sd"]

    def standardized_noise(self) -> Array:
        """Return (n,) noise levels that do not depend on the frame rate, in 1/sqrt(Hz).

        Of dF/F, and times 100, this is nu of Rupprecht et al. 2021: median |change|
        from frame to frame / sqrt(rate). 1 % is an excellent recording, 8 % a poor one.
        """
        return self.sd * np.float32(_MEDIAN_DISTANCE / math.sqrt(self._rate_hz))

    def add_values(self, values: Array) -> None:
        """Include one frame of values, (n,) float32; NaN values are left out."""
        state = self._state
        min_step = _STEP / count_remembered_frames(self._rate_hz)
        track_noise(values, min_step, state["last"], state["n_changes"], state["sd"])

    def get_state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {name: array.copy() for name, array in self._state.items()}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state of as many neurons, at the same rate."""
        for name, array in self._state.items():
            array[:] = state[name]


class RunningSnr:
    """Noise of dF/F, and the size of the newest 20 transients.

    A transient is where dF/F, averaged over a quarter of `indicator_decay_s`, rises by
    4 s.d. of its noise above rest, or above the lowest value since the last transient.
    """

    def __init__(
        self,
        n: int,
        rate_hz: float,
        settings: TracesSettings,
        rise_s: float | None = None,
    ) -> None:
        self.running_noise = RunningNoise(n, rate_hz)
        decay_s = settings.indicator_decay_s
        frames = max(1.0, _TRANSIENT_WINDOW * decay_s * rate_hz)
        self._rate = 1 - math.exp(-1 / frames)
        averaged_sd = math.sqrt(self._rate / (2 - self._rate))  # of white noise
        self._threshold = _MIN_TRANSIENT_SD * averaged_sd
        self._min_step = 1 / (0.8 * count_remembered_frames(rate_hz))
        self._averaged_peak = self._average_peak(decay_s, rise_s, rate_hz)
        self._memory = np.zeros(n, _TRANSIENT)

    def add_values(self, dff: Array) -> None:
        """Include one frame of dF/F, (n,) float32; NaN values are left out."""
        self.running_noise.add_values(dff)
        rates = self._rate, self._min_step
        track_transients(
            dff, self.running_noise.sd, rates, self._threshold, self._memory
        )

    def compute_snr(self) -> Array:
        """Return (n,) float32: mean peak of transients / noise of a frame.

        NaN where no transient has been seen: if there are any, they are below noise.
        """
        size = np.where(self._memory["count"] > 0, self._memory["size"], np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            peak = size / self._averaged_peak
            return (peak / self.running_noise.sd).astype(np.float32)

    def get_state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {**self.running_noise.get_state(), "transients": self._memory.copy()}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state of as many neurons, at the same rate."""
        self.running_noise.restore_state(state)
        self._memory[:] = state["transients"]

    def _average_peak(
        self, decay_s: float, rise_s: float | None, rate_hz: float
    ) -> float:
        """Return the share of a transient's peak that remains after averaging."""
        mean, peak = 0.0, 0.0
        n_frames = math.ceil(decay_s * rate_hz)
        for value in compute_calcium_response(decay_s, rise_s, rate_hz, n_frames):
            mean += self._rate * (float(value) - mean)
            peak = max(peak, mean)
        return peak


# What is known of a neuron's transients: number of values; averaged dF/F; rest; lowest
# average since the last transient, and highest in this one; whether a transient is on;
# number of transients, and their mean height.
_TRANSIENT = np.dtype(
    [
        ("n_values", np.int64),
        ("mean", np.float32),
        ("rest", np.float32),
        ("lowest", np.float32),
        ("highest", np.float32),
        ("is_rising", np.bool_),
        ("count", np.float32),
        ("size", np.float32),
    ]
)


@jit_kernel
def track_noise(
    values: Array, min_step: float, last: Array, n_changes: Array, sd: Array
) -> None:
    """Update the s.d. of noise by one frame, from the median change between frames.

    min_step: smallest step of sd, as a fraction of it. n_changes: int64, changes so
    far.
    """
    for i in range(values.size):
        change = abs(values[i] - last[i])
        last[i] = values[i]
        if math.isnan(change):
            continue
        n_changes[i] += 1
        if n_changes[i] == 1:
            sd[i] = change / _MEAN_DISTANCE
        elif n_changes[i] <= _START_FRAMES:
            sd[i] += (change / _MEAN_DISTANCE - sd[i]) / n_changes[i]
        else:
            factor = 1 + max(min_step, _STEP / n_changes[i])
            is_larger = change > _MEDIAN_DISTANCE * sd[i]
            sd[i] = sd[i] * factor if is_larger else sd[i] / factor


@jit_kernel
def track_transients(
    dff: Array, sd: Array, rates: tuple[float, float], threshold: float, memory: Array
) -> None:
    """Update the transients of every neuron by one frame; memory: see `_TRANSIENT`.

    rates: weight of a new value in the average; smallest step of the rest, in s.d.
    threshold: height of a transient, in s.d.
    """
    for i in range(dff.size):
        cell = memory[i]
        if math.isnan(dff[i]) or not sd[i] > 0:
            continue
        cell.n_values += 1
        if cell.n_values == 1:
            cell.mean = cell.rest = cell.lowest = dff[i]
        cell.mean += rates[0] * (dff[i] - cell.mean)
        # The median: as many steps up as down.
        step = max(rates[1], 1 / cell.n_values) * sd[i]
        cell.rest += step if dff[i] > cell.rest else -step
        if cell.is_rising:
            cell.highest = max(cell.highest, cell.mean)
            if cell.mean < cell.highest - threshold * sd[i]:
                cell.count = min(cell.count + 1, _MAX_TRANSIENTS)
                cell.size += (cell.highest - cell.lowest - cell.size) / cell.count
                cell.is_rising, cell.lowest = False, cell.mean
        else:
            cell.lowest = min(cell.lowest, cell.mean)
            if cell.mean > max(cell.lowest, cell.rest) + threshold * sd[i]:
                cell.lowest = max(cell.lowest, cell.rest)
                cell.is_rising, cell.highest = True, cell.mean
