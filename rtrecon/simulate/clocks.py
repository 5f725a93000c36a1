"""Clocks that are known: with an offset, a drift, and what it costs to read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array


@dataclass(frozen=True)
class Clock:
    """Another clock. shows(t) = t + offset_s + drift * t, t on the microscope's.

    jitter_s: s.d. of what an edge is off by when it is read; delay_s: mean of how much
    later than it was something is told, exponential.
    """

    offset_s: float
    drift: float
    jitter_s: float = 0.0
    delay_s: float = 0.0

    def shows(self, t_s: Array) -> Array:
        """Return what it shows at these times."""
        return t_s + self.offset_s + self.drift * t_s

    def reads(self, t_s: Array, rng: np.random.Generator) -> Array:
        """Return what is read on it at these times."""
        jitter = rng.normal(0.0, self.jitter_s, t_s.shape)
        return self.shows(t_s) + jitter + rng.exponential(self.delay_s, t_s.shape)
