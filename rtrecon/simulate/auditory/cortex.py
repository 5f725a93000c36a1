"""Simulated auditory cortex: spikes of neurons with spectrotemporal receptive fields.

A neuron sums the sound's spectrogram over a few octaves and the last 120 ms: a Gaussian
over log frequency around its best frequency, with inhibitory sidebands, moving up or
down in frequency where it prefers a direction of FM (Atencio & Schreiner 2013). Inputs
are depressed by what drove them in the last fraction of a second (forward suppression;
Brosch & Schreiner 1997), and the rate saturates. It shares no code with any encoder.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.auditory.sounds import make_natural_sound
from rtrecon.simulate.leaky_integrator import integrate_with_leak
from rtrecon.simulate.random_draws import draw_log_uniform, draw_shared_gain
from rtrecon.stimulus_space.sound import SOUND
from rtrecon.stimulus_space.spectrogram import compute_levels

MEMORY_FRAMES = 12
_CALIBRATION_S, _CALIBRATION_SEED = 60.0, 901
_MEAN_RATES_HZ = (2.0, 14.0)
_BANDWIDTHS_OCTAVES = (0.12, 0.6)
_LATENCIES_S, _WIDTHS_S = (0.015, 0.045), (0.012, 0.03)
_SPEEDS_OCTAVES_PER_S = 25.0  # s.d. of the preferred FM
_SUPPRESSION_S = (0.06, 0.25)
_SUPPRESSION = (0.1, 1.5)  # per unit of recent drive
_SATURATION = (3.0, 8.0)  # times the mean drive


class AuditoryCortex:
    """n neurons; best_frequency_hz (n,) of each. Rates: spikes per bin of 10 ms.

    fields (n, lags, 24): receptive fields, lag 0 first. drive_unit (n,): s.d. of what
    they give. threshold, saturation, suppression, suppression_s, scale (n,): of the
    steps from there to a rate.
    """

    def __init__(self, n_neurons: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 72])
        octaves = np.log2(SOUND.axes[0].positions)
        best = rng.uniform(octaves[0], octaves[-1], n_neurons)
        self.best_frequency_hz = 2**best
        self.fields = _draw_fields(best, octaves, rng)
        self.suppression = rng.uniform(*_SUPPRESSION, n_neurons)
        self.suppression_s = draw_log_uniform(rng, _SUPPRESSION_S, n_neurons)
        self.threshold = rng.uniform(-0.3, 0.6, n_neurons)
        self.saturation = rng.uniform(*_SATURATION, n_neurons)
        self.scale = np.ones(n_neurons)
        self.drive_unit = np.ones(n_neurons)
        calibration = make_natural_sound(_CALIBRATION_S, _CALIBRATION_SEED)
        self._calibrate(compute_levels(calibration), rng)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return len(self.scale)

    def compute_rates(self, levels: Array, rng: np.random.Generator) -> Array:
        """Return expected spikes per bin (T, n) for a sound's levels (T, 24, 1)."""
        rates = self._compute_tuned(levels) * self.scale
        gain = draw_shared_gain(len(levels), SOUND.rate_hz, rng)
        return np.asarray(rates * gain, np.float32)

    def map_sensitivity(self) -> Array:
        """Return (24, 1): how much each band drives the neurons; largest = 1."""
        power = np.square(self.fields).sum((0, 1))
        return np.asarray((power / power.max())[:, None])

    def _compute_tuned(self, levels: Array) -> Array:
        """Return (T, n) >= 0 in units of each neuron's own mean drive."""
        drive = self._filter(levels) / self.drive_unit
        rectified = np.logaddexp(0, 3 * (drive - self.threshold))
        depressed = self._suppress(rectified)
        return np.asarray(depressed / (1 + depressed / self.saturation))

    def _filter(self, levels: Array) -> Array:
        """Return the drive (T, n) before threshold and rectification."""
        spectrum = (levels[:, :, 0].astype(np.float64) - 85.0) / 50.0
        quiet = np.full((MEMORY_FRAMES - 1, spectrum.shape[1]), spectrum.min())
        padded = np.concatenate([quiet, spectrum])
        drive = np.zeros((len(levels), self.n_neurons))
        for lag in range(MEMORY_FRAMES):
            start = MEMORY_FRAMES - 1 - lag
            drive += padded[start : start + len(levels)] @ self.fields[:, lag].T
        return drive

    def _suppress(self, drive: Array) -> Array:
        """Divide the drive by what it was in the last fraction of a second."""
        decay = np.exp(-1 / (self.suppression_s * SOUND.rate_hz))
        before = np.concatenate([np.zeros((1, self.n_neurons)), drive[:-1]])
        recent = integrate_with_leak((1 - decay) * before, decay)
        return np.asarray(drive / (1 + self.suppression * recent))

    def _calibrate(self, levels: Array, rng: np.random.Generator) -> None:
        settled = self._filter(levels)[MEMORY_FRAMES:]
        self.drive_unit = np.std(settled, 0) + 1e-9
        rate_hz = draw_log_uniform(rng, _MEAN_RATES_HZ, self.n_neurons)
        tuned = self._compute_tuned(levels)
        self.scale = rate_hz / SOUND.rate_hz / (tuned.mean(0) + 1e-9)


def _draw_fields(best: Array, octaves: Array, rng: np.random.Generator) -> Array:
    """Return receptive fields (n, lags, bands) of norm 1."""
    n = len(best)
    bandwidth = draw_log_uniform(rng, _BANDWIDTHS_OCTAVES, n)[:, None, None]
    latency = rng.uniform(*_LATENCIES_S, n)[:, None, None]
    width = draw_log_uniform(rng, _WIDTHS_S, n)[:, None, None]
    speed = rng.normal(size=n)[:, None, None] * _SPEEDS_OCTAVES_PER_S
    rebound = rng.uniform(0.3, 1.0, n)[:, None, None]
    sideband = rng.uniform(0.2, 0.8, n)[:, None, None]
    lag_s = ((np.arange(MEMORY_FRAMES) + 0.5) / SOUND.rate_hz)[None, :, None]
    center = best[:, None, None] - speed * (lag_s - latency)
    distance = (octaves[None, None] - center) / bandwidth
    excitation = np.exp(-(distance**2) / 2)
    inhibition = 0.5 * np.exp(-(distance**2) / 8)
    spectral = excitation - sideband * inhibition
    early = np.exp(-(((lag_s - latency) / width) ** 2) / 2)
    late = np.exp(-(((lag_s - latency - 2.2 * width) / (1.4 * width)) ** 2) / 2)
    fields = spectral * (early - rebound * 0.7 * late)
    norm = np.sqrt(np.square(fields).sum((1, 2), keepdims=True))
    return np.asarray(fields / norm)
