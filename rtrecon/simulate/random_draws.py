"""Random numbers that several simulations draw: log-uniform ones, and slow noise."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.leaky_integrator import integrate_with_leak

_GAIN_SD, _GAIN_S = 0.35, 2.0  # of the logarithm of the shared gain; how slow it is


def draw_log_uniform(
    rng: np.random.Generator, limits: tuple[float, float], n: int
) -> Array:
    """Return (n,) numbers whose logarithm is uniform between the limits."""
    low, high = limits
    return np.asarray(low * (high / low) ** rng.random(n))


def filter_slowly(noise: Array, decay_frames: float) -> Array:
    """Return noise (T, n) that changes within so many frames; white noise keeps s.d."""
    decay = np.exp(-1 / decay_frames)
    return integrate_with_leak(noise * np.sqrt(1 - decay**2), decay)


def draw_shared_gain(n_frames: int, rate_hz: float, rng: np.random.Generator) -> Array:
    """Return (T, 1): a slow gain of a whole cortex, as arousal changes it."""
    noise = filter_slowly(rng.normal(size=(n_frames, 1)), _GAIN_S * rate_hz)
    return np.asarray(np.exp(_GAIN_SD * noise))
