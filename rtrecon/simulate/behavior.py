"""Simulated behaviour: the mouse runs in bouts, and its pupil follows arousal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.simulate.leaky_integrator import integrate_with_leak


@dataclass(frozen=True)
class BehaviorTraces:
    """pupil_dilation (T,) camera px; running_speed (T,) cm/s; arousal (T,) z-scored."""

    pupil_dilation: Array
    running_speed: Array
    arousal: Array

    def stack_measured(self) -> Array:
        """Return (T, 4) in the order of `BEHAVIOR`; NaN where it is not simulated."""
        not_simulated = np.full_like(self.pupil_dilation, np.nan)
        return np.stack([getattr(self, name, not_simulated) for name in BEHAVIOR], 1)


def simulate_behavior(
    n_frames: int, rate_hz: float, rng: np.random.Generator
) -> BehaviorTraces:
    """Return behaviour with the ranges of the Sensorium 2023 mice.

    Running: mostly none, in bouts of seconds, means of 0.3 to 5 cm/s. Pupil: mean of
    about 50 camera pixels, range 10 to 90.
    """
    running_urge = ornstein_uhlenbeck_noise((n_frames, 1), 4.0 * rate_hz, rng)[:, 0]
    speed = (
        9.0 * np.maximum(running_urge - 1.0, 0) * (1 + 0.1 * rng.normal(size=n_frames))
    )
    slow_arousal = ornstein_uhlenbeck_noise((n_frames, 1), 8.0 * rate_hz, rng)[:, 0]
    arousal = 0.6 * np.tanh(running_urge) + 0.8 * slow_arousal
    pupil = np.clip(50 + 12 * arousal + rng.normal(0, 0.8, n_frames), 10, 92)
    return BehaviorTraces(
        pupil.astype(np.float32),
        np.maximum(speed, 0).astype(np.float32),
        arousal.astype(np.float32),
    )


def ornstein_uhlenbeck_noise(
    shape: tuple[int, int], tau_frames: float, rng: np.random.Generator
) -> Array:
    """Return unit-variance Ornstein-Uhlenbeck noise, independent along axis 1."""
    persistence = np.exp(-1 / tau_frames)
    drive = rng.normal(size=shape) * np.sqrt(1 - persistence**2)
    drive[0] = rng.normal(size=shape[1])
    return integrate_with_leak(drive, persistence).astype(np.float32)
