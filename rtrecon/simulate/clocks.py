"""Simulated clocks with a known offset, drift, reading error and delay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array


@dataclass(frozen=True)
class SimulatedClock:
    """The clock of another program: t + offset_s + drift * t, t of the microscope.

    jitter_s: standard deviation of the error of one reading. delay_s: mean of the
    exponentially distributed delay between an event and its time stamp.
    """

    offset_s: float
    drift: float
    jitter_s: float = 0.0
    delay_s: float = 0.0

    def clock_time(self, t_s: Array) -> Array:
        """Return the clock's time at these times of the microscope."""
        return t_s + self.offset_s + self.drift * t_s

    def read_time(self, t_s: Array, rng: np.random.Generator) -> Array:
        """Return the time stamps that a program takes at these times."""
        jitter = rng.normal(0.0, self.jitter_s, t_s.shape)
        return self.clock_time(t_s) + jitter + rng.exponential(self.delay_s, t_s.shape)
