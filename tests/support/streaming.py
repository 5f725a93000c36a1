"""Streaming a recording through an inverter, as a session does: hop by hop."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtrecon.inversion.live.inverter import LiveInverter


@dataclass(frozen=True)
class Pace:
    """How many frames come at a time, and how many steps each such hop is given."""

    hop_frames: int
    steps: int

    def streamed(
        self, inverter: LiveInverter, activity: Tensor, behavior: Tensor
    ) -> Tensor:
        """Return all final frames, then the window's own: (T, C), one per frame."""
        final = []
        parts = activity.split(self.hop_frames), behavior.split(self.hop_frames)
        for part in zip(*parts, strict=True):
            final.append(inverter.advance(*part))
            for step in range(self.steps):
                inverter.step(step / (self.steps - 1))
        return torch.cat([*final, inverter.frames()])[inverter.window_frames :]
