"""Streams a recording through a live inversion, hop by hop, as a session does."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtrecon.inversion.live.map_inversion import MapInversion


@dataclass(frozen=True)
class HopPacer:
    """Frames per hop, and optimiser steps per hop."""

    hop_frames: int
    steps: int

    def stream_activity(
        self, inverter: MapInversion, activity: Tensor, behavior: Tensor
    ) -> Tensor:
        """Return all final frames, then those of the window: (T, C)."""
        final = []
        parts = activity.split(self.hop_frames), behavior.split(self.hop_frames)
        for part in zip(*parts, strict=True):
            final.append(inverter.push_activity(*part))
            for step in range(self.steps):
                inverter.step(step / (self.steps - 1))
        return torch.cat([*final, inverter.movie_coefficients()])[
            inverter.window_frames :
        ]
