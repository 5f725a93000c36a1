"""Spikes in place of images: units whose rates go straight to the time base."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.daemon.plane import Plane, Shot, Step
from rtrecon.imaging.frame_processor import Sample
from rtrecon.imaging.registration.registrar import Shift
from rtrecon.imaging.registration.z_drift import Depth
from rtrecon.imaging.timing.aligner import Tick

_STILL = Shift(0.0, 0.0, confidence=1.0, trusted=True)


class Units(Plane):
    """Stands where a plane stands in a session of spikes.

    A shot is one bin: (1, n) float32, the rate of each unit, NaN where it was lost. It
    is its own activity; there is no reference, nothing to wait for and nothing to see.
    """

    @property
    def calibrating(self) -> bool:
        """Never: rates need no reference."""
        return False

    def take(self, shot: Shot) -> list[Step]:
        """Take one bin; its activity is complete at once."""
        rates = np.where(np.isfinite(shot.pixels[0]), shot.pixels[0], np.float32("nan"))
        unknown = np.full_like(rates, np.nan)
        message = shot.message
        ticks: list[Tick] = self._aligner.activity(message.t, message.frame, rates)
        sample = Sample(_STILL, rates, unknown, unknown, rates)
        return [Step(shot, sample, ticks, shot, late=False, depth=Depth())]

    def go_on(self, *, ending: bool = False) -> list[Step]:
        """Nothing ever waits."""
        return []

    def retake(self) -> None:
        """There is no reference to be made again."""

    def view(self, step_px: int) -> Array:
        """Return an empty image."""
        return np.empty((0, 0), np.uint8)
