"""The recorded activity and behaviour that a reconstructed movie has to explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.types import Array


@dataclass(frozen=True)
class InversionTarget:
    """Recorded activity and behaviour of one clip.

    activity: (T, n), NaN where lost. behavior: (T, k), raw, in the order of `BEHAVIOR`;
    NaN where not known. used_neurons: (n,) bool, neurons that may be used; None = all.
    """

    activity: Array
    behavior: Array
    used_neurons: Array | None = None

    def __len__(self) -> int:
        return len(self.activity)

    def activity_tensor(self) -> Tensor:
        """Return activity as float32 (T, n), NaN also for neurons that are not used."""
        activity = np.array(self.activity, np.float32)
        if self.used_neurons is not None:
            activity[:, ~np.asarray(self.used_neurons, bool)] = np.nan
        return torch.from_numpy(activity)

    def behavior_tensor(self) -> Tensor:
        """Return behaviour as float32 (T, k)."""
        return torch.from_numpy(np.array(self.behavior, np.float32))
