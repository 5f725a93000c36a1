"""What a movie is to explain, and how the methods report on their way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.types import Array

Report = Callable[[str, float, str], None]  # stage, share done 0..1, a word more


@dataclass(frozen=True)
class Target:
    """Recorded activity of one clip, and what the mouse did meanwhile.

    activity: (T, n), NaN where lost. behavior: (T, k), raw, in the order of `BEHAVIOR`;
    NaN where not known. kept: (n,) bool, neurons that may be used; None means all.
    """

    activity: Array
    behavior: Array
    kept: Array | None = None

    def __len__(self) -> int:
        return len(self.activity)

    def recorded(self) -> Tensor:
        """Return float32 (T, n): NaN also where a neuron is not to be used."""
        activity = np.array(self.activity, np.float32)
        if self.kept is not None:
            activity[:, ~np.asarray(self.kept, bool)] = np.nan
        return torch.from_numpy(activity)

    def behavior_tensor(self) -> Tensor:
        """Return behaviour as float32 (T, k)."""
        return torch.from_numpy(np.array(self.behavior, np.float32))


def silent(stage: str, share: float, word: str) -> None:
    """Report to nobody."""
