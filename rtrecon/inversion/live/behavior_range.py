"""Reports behaviour that stays outside the range on which the encoder was trained.

A moved camera or other units do not break the inversion, because the encoder limits
values that lie far out. But the prediction is then wrong, and the user should know.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.behavior import BEHAVIOR

WINDOW_FRAMES = 900  # 30 s at 30 Hz: a mouse may well run for some seconds
_REPORT_ABOVE = 0.5  # fraction of the window that is out of range
_REARM_BELOW = 0.1  # below this fraction, the next excursion is reported again


class OutOfRangeMonitor:
    """Counts out-of-range frames of each behaviour signal over a window."""

    def __init__(self) -> None:
        self._outside = np.zeros((WINDOW_FRAMES, len(BEHAVIOR)), bool)
        self._count = 0
        self._is_reported = np.zeros(len(BEHAVIOR), bool)

    def add_frames(self, outside: Array) -> list[str]:
        """Add frames; return a sentence for each signal that went out of range.

        outside: bool (h, 4) in the order of `BEHAVIOR`, True where the value lies too
        far from its mean in training. Unknown values are False.
        """
        slots = (self._count + np.arange(len(outside))) % WINDOW_FRAMES
        self._outside[slots] = outside
        self._count += len(outside)
        fraction = self._outside.mean(0)
        new = (fraction > _REPORT_ABOVE) & ~self._is_reported
        self._is_reported = (self._is_reported | new) & (fraction > _REARM_BELOW)
        return [_sentence(BEHAVIOR[signal]) for signal in np.flatnonzero(new)]


def _sentence(name: str) -> str:
    return (
        f"{name.replace('_', ' ')} is out of the range on which the encoder was "
        "trained, most of the time; check whether the camera was moved and whether "
        "the units are right"
    )
