"""How noisy each neuron's trace is, and how far its transients stand out."""

from __future__ import annotations

import math

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.numba_jit import kernel
from rtrecon.core.types import Array
from rtrecon.imaging.traces.deconvolution_ar2 import response

# How long is looked back: enough for 2 %, and it follows a session's slow changes.
_MEMORY_S = 60.0
# Of two values under Gaussian noise of s.d. 1: median and mean distance.
_MEDIAN_GAP, _MEAN_GAP = 0.67449 * math.sqrt(2), 2 / math.sqrt(math.pi)
# A tracked median moves by this, in parts of itself, over frames remembered: then it
# is at rest as fast as it forgets (the slope of a Gaussian's distances at the median).
_STEP = 1.17
_STARTING_FRAMES = 30  # a plain mean, until there is a median to track
_LOOK_S = 0.25  # of the indicator's decay: over this long a transient is looked for
_STANDING_OUT = 4.0  # s.d. of what is then left of noise
_TRANSIENTS = 20.0  # remembered


class RunningNoise:
    """Noise of each neuron's values, told from their frame-to-frame changes.

    A median of distances, which neither transients nor drift move much. `sd`: (n,)
    float32, of the noise in one frame, in the units of the values; NaN until known.
    """

    def __init__(self, n: int, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._state: dict[str, Array] = {
            "last": np.full(n, np.nan, np.float32),
            "seen": np.zeros(n, np.int64),
            "sd": np.full(n, np.nan, np.float32),
        }

    @property
    def sd(self) -> Array:
        """The noise as it is known now; a view."""
        return self._state["sd"]

    def standardized(self) -> Array:
        """Return (n,) noise levels that do not depend on the frame rate, in 1/sqrt(Hz).

        Of dF/F, and times 100, the nu of Rupprecht et al. 2021: median |change| from
        frame to frame / sqrt(rate). 1 % is an excellent recording, 8 % a poor one.
        """
        return self.sd * np.float32(_MEDIAN_GAP / math.sqrt(self._rate_hz))

    def update(self, values: Array) -> None:
        """Take one frame of values, (n,) float32; those that are NaN are left out."""
        state = self._state
        least = _STEP / (_MEMORY_S * self._rate_hz)
        track_noise(values, least, state["last"], state["seen"], state["sd"])

    def state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {name: array.copy() for name, array in self._state.items()}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state of as many neurons, at the same rate."""
        for name, array in self._state.items():
            array[:] = state[name]


class RunningSnr:
    """Noise of dF/F, and size of transients, of which the newest 20 count.

    A transient is where dF/F, averaged over a quarter of `decay_s`, rises by 4 s.d. of
    its noise above rest, or above where the transient before had come down to.
    """

    def __init__(
        self,
        n: int,
        rate_hz: float,
        settings: TracesSettings,
        rise_s: float | None = None,
    ) -> None:
        self.noise = RunningNoise(n, rate_hz)
        frames = max(1.0, _LOOK_S * settings.decay_s * rate_hz)
        self._rate = 1 - math.exp(-1 / frames)
        left = math.sqrt(self._rate / (2 - self._rate))  # of white noise, averaged so
        self._threshold = _STANDING_OUT * left
        self._least = 1 / (0.8 * _MEMORY_S * rate_hz)
        self._passed = self._peak(settings.decay_s, rise_s, rate_hz)
        self._memory = np.zeros(n, _TRANSIENT)

    def update(self, dff: Array) -> None:
        """Take one frame of dF/F, (n,) float32; NaN is left out."""
        self.noise.update(dff)
        steps = self._rate, self._least
        track_transients(dff, self.noise.sd, steps, self._threshold, self._memory)

    def snr(self) -> Array:
        """Return (n,) float32: mean peak of transients / noise of a frame.

        NaN where no transient has been seen: whatever there is, is below noise.
        """
        size = np.where(self._memory["count"] > 0, self._memory["size"], np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (size / self._passed / self.noise.sd).astype(np.float32)

    def state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {**self.noise.state(), "transients": self._memory.copy()}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state of as many neurons, at the same rate."""
        self.noise.restore(state)
        self._memory[:] = state["transients"]

    def _peak(self, decay_s: float, rise_s: float | None, rate_hz: float) -> float:
        """Return how much of a transient's peak the averaging leaves."""
        level, peak = 0.0, 0.0
        for value in response(decay_s, rise_s, rate_hz, math.ceil(decay_s * rate_hz)):
            level += self._rate * (float(value) - level)
            peak = max(peak, level)
        return peak


# What is known of a neuron's transients: dF/F averaged, at rest, lowest since the last
# transient and highest in this one; how many there were, and their mean height.
_TRANSIENT = np.dtype(
    [
        ("seen", np.int64),
        ("mean", np.float32),
        ("rest", np.float32),
        ("foot", np.float32),
        ("peak", np.float32),
        ("risen", np.bool_),
        ("count", np.float32),
        ("size", np.float32),
    ]
)


@kernel
def track_noise(
    values: Array, least: float, last: Array, seen: Array, sd: Array
) -> None:
    """One frame of the median distance between successive values, as s.d. of noise.

    least: smallest step of sd, in parts of it. seen: int64 count of distances so far.
    """
    for i in range(values.size):
        gap = abs(values[i] - last[i])
        last[i] = values[i]
        if math.isnan(gap):
            continue
        seen[i] += 1
        if seen[i] == 1:
            sd[i] = gap / _MEAN_GAP
        elif seen[i] <= _STARTING_FRAMES:
            sd[i] += (gap / _MEAN_GAP - sd[i]) / seen[i]
        else:
            step = 1 + max(least, _STEP / seen[i])
            sd[i] = sd[i] * step if gap > _MEDIAN_GAP * sd[i] else sd[i] / step


@kernel
def track_transients(
    dff: Array, sd: Array, steps: tuple[float, float], threshold: float, memory: Array
) -> None:
    """One frame of every neuron's way up and down; see `_TRANSIENT`.

    steps: share of a new value in the mean; smallest step of the rest, in s.d.
    threshold: height of a transient, in s.d.
    """
    for i in range(dff.size):
        own = memory[i]
        if math.isnan(dff[i]) or not sd[i] > 0:
            continue
        own.seen += 1
        if own.seen == 1:
            own.mean = own.rest = own.foot = dff[i]
        own.mean += steps[0] * (dff[i] - own.mean)
        # The median: as many steps up as down.
        step = max(steps[1], 1 / own.seen) * sd[i]
        own.rest += step if dff[i] > own.rest else -step
        if own.risen:
            own.peak = max(own.peak, own.mean)
            if own.mean < own.peak - threshold * sd[i]:
                own.count = min(own.count + 1, _TRANSIENTS)
                own.size += (own.peak - own.foot - own.size) / own.count
                own.risen, own.foot = False, own.mean
        else:
            own.foot = min(own.foot, own.mean)
            if own.mean > max(own.foot, own.rest) + threshold * sd[i]:
                own.foot = max(own.foot, own.rest)
                own.risen, own.peak = True, own.mean
