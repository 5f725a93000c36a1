"""Simulated barrel cortex: spikes of neurons that follow a whisker and its neighbours.

A neuron follows the angle of its principal whisker, its velocity, or contact, at onset
or as long as it lasts, and neighbouring whiskers more weakly (Petersen 2007). Its rate
is half-squared and saturates. It shares no code with any encoder.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.random_draws import draw_log_uniform, draw_shared_gain
from rtrecon.simulate.tactile.whisking import make_whisking
from rtrecon.stimulus_space.touch import N_ARCS, N_ROWS, TOUCH, WHISKERS

MEMORY_FRAMES = 12
_CALIBRATION_FRAMES, _CALIBRATION_SEED = 6000, 902
_MEAN_RATES_HZ = (2.0, 14.0)
_SPREADS = (0.25, 0.9)  # s.d. of a receptive field, in whiskers
_LATENCIES_S, _WIDTH_S = (0.008, 0.03), 0.012
_THRESHOLDS = (-0.5, 0.7)
_SATURATION = (4.0, 10.0)


class BarrelCortex:
    """n neurons; whisker (n,): index of each one's principal whisker.

    Rates are in spikes per bin of 10 ms. pad (n, 24): weights of the whiskers. filters
    (n, lags, 2): of angle and contact, lag 0 first. unit (n,): s.d. of the drive.
    threshold, saturation, scale (n,): of the steps from there to a rate.
    """

    def __init__(self, n_neurons: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 82])
        self.whisker = rng.integers(len(WHISKERS), size=n_neurons)
        self.pad = _weigh_whiskers(self.whisker, rng)  # (n, 24)
        self.filters = _draw_filters(n_neurons, rng)  # (n, lags, 2)
        self.threshold = rng.uniform(*_THRESHOLDS, n_neurons)
        self.saturation = rng.uniform(*_SATURATION, n_neurons)
        self.unit, self.scale = np.ones(n_neurons), np.ones(n_neurons)
        self._calibrate(rng)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return len(self.scale)

    def compute_rates(self, levels: Array, rng: np.random.Generator) -> Array:
        """Return expected spikes per bin (T, n) for levels (T, 24, 2) of touch."""
        rates = self._saturate(self._filter(levels) / self.unit) * self.scale
        gain = draw_shared_gain(len(levels), TOUCH.rate_hz, rng)
        return np.asarray(rates * gain, np.float32)

    def map_sensitivity(self) -> Array:
        """Return (24, 2): how much each value drives the neurons; largest = 1."""
        power = np.square(self.filters).sum(1)  # (n, 2)
        found = np.square(self.pad).T @ power
        return np.asarray(found / found.max())

    def _filter(self, levels: Array) -> Array:
        """Return the drive (T, n) before threshold and rectification."""
        deflection = TOUCH.from_levels(levels).astype(np.float64)
        drive = np.zeros((len(levels), self.n_neurons))
        for quantity in range(2):
            seen = deflection[:, :, quantity] @ self.pad.T
            padded = np.concatenate([seen[:1].repeat(MEMORY_FRAMES - 1, 0), seen])
            for lag in range(MEMORY_FRAMES):
                start = MEMORY_FRAMES - 1 - lag
                part = padded[start : start + len(levels)]
                drive += part * self.filters[:, lag, quantity]
        return drive

    def _saturate(self, drive: Array) -> Array:
        squared = np.square(np.maximum(0, drive - self.threshold))
        return np.asarray(0.02 + squared / (1 + squared / self.saturation))

    def _calibrate(self, rng: np.random.Generator) -> None:
        levels = make_whisking(_CALIBRATION_FRAMES, _CALIBRATION_SEED)
        drive = self._filter(levels)
        self.unit = drive.std(0) + 1e-9
        rate_hz = draw_log_uniform(rng, _MEAN_RATES_HZ, self.n_neurons)
        mean = self._saturate(drive / self.unit).mean(0)
        self.scale = rate_hz / TOUCH.rate_hz / mean


def _weigh_whiskers(principal: Array, rng: np.random.Generator) -> Array:
    """Return (n, 24): a Gaussian over the pad around each principal whisker."""
    rows, arcs = np.divmod(np.arange(N_ROWS * N_ARCS), N_ARCS)
    apart = (rows[principal, None] - rows) ** 2 + (arcs[principal, None] - arcs) ** 2
    spread = rng.uniform(*_SPREADS, (len(principal), 1))
    return np.asarray(np.exp(-apart / (2 * spread**2)))


def _draw_filters(n: int, rng: np.random.Generator) -> Array:
    """Return (n, lags, 2) over time of angle and contact, norm 1."""
    lag_s = ((np.arange(MEMORY_FRAMES) + 0.5) / TOUCH.rate_hz)[None]
    latency = rng.uniform(*_LATENCIES_S, n)[:, None]
    bump = np.exp(-(((lag_s - latency) / _WIDTH_S) ** 2) / 2)
    later = np.exp(-(((lag_s - latency - 0.025) / (1.3 * _WIDTH_S)) ** 2) / 2)
    # Position, velocity, contact and its onset: how much of each a neuron follows.
    kind = rng.dirichlet([0.5, 0.7, 0.7, 0.7], n)[:, :, None]
    sign = rng.choice([-1.0, 1.0], (n, 1))
    angle = sign * (kind[:, 0] * bump + kind[:, 1] * (bump - later))
    contact = kind[:, 2] * bump + kind[:, 3] * (bump - 0.8 * later)
    filters = np.stack([angle, contact], -1)
    norm = np.sqrt(np.square(filters).sum((1, 2), keepdims=True))
    return np.asarray(filters / norm)
