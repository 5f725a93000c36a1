"""How sure each frame of the movie is, as the inverter published it."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.messages import Spread

_MIN_WEIGHT = 1e-6


class MovieSpread:
    """Standard deviation of pixels by the age of a frame, and that of the prior."""

    def __init__(self, message: Spread, sd: Array) -> None:
        """`sd`: uint8 (ages + 1, height, width), as published."""
        self._hop_frames = message.hop_frames
        self._by_age = sd[:-1].astype(np.float32)
        self._shares = np.clip(
            1 - np.square(self._by_age / np.maximum(sd[-1], 1)), 0, 1
        )
        weight = self._shares.sum((1, 2))
        variance = (self._shares * np.square(self._by_age)).sum((1, 2))
        self._typical_sd = np.sqrt(variance / np.maximum(weight, _MIN_WEIGHT))

    def data_share(self, age_frames: int) -> Array:
        """Return float32 (height, width) 0..1: the share that the activity decides.

        The rest is decided by the prior. age_frames: of the frame, 0 for the newest.
        """
        share: Array = self._shares[self._find_age(age_frames)]
        return share

    def typical_sd(self, age_frames: int) -> float:
        """Return the s.d. in gray levels where the activity decides, weighted by it."""
        return float(self._typical_sd[self._find_age(age_frames)])

    def _find_age(self, age_frames: int) -> int:
        return int(min(age_frames // self._hop_frames, len(self._by_age) - 1))
