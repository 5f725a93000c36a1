"""What the encoders of simulated neurons share: they compute on the CPU alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from rtrecon.core.errors import UserError


class CpuEncoder(ABC):
    """The parts of a `LiveEncoder` that do not depend on the neurons.

    past_frames: before these frames, no stimulus has an influence.
    """

    past_frames: int

    @property
    @abstractmethod
    def n_neurons(self) -> int:
        """Number of neurons."""

    @property
    def device(self) -> torch.device:
        """It computes on the CPU."""
        return torch.device("cpu")

    def lag_weights(self) -> Tensor:
        """Return equal weights of all lags (past_frames + 1, n)."""
        n_lags = self.past_frames + 1
        return torch.full((n_lags, self.n_neurons), 1 / n_lags)

    def reduce_memory(self) -> str:
        """Refuse: it computes in main memory."""
        raise UserError("the true encoder needs more memory than there is")

    def to(self, device: torch.device, /) -> Self:
        """Return itself: it stays on the CPU."""
        return self
