"""How a clip is cut into overlapping windows, and put together again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Windows:
    """Windows of `size` frames of a clip of `n_frames`.

    starts: (B,) int64. counts: (B,) float, how often each is to count. A clip shorter
    than a window is one window.
    """

    n_frames: int
    size: int
    starts: Tensor
    counts: Tensor

    def __len__(self) -> int:
        return len(self.starts)

    def frames(self, past: int = 0) -> Tensor:
        """Return (B, past + size): which frames of a clip led in by `past` others."""
        return self.starts[:, None] + torch.arange(past + self.size)

    def mean(self, parts: Tensor, past: int = 0) -> Tensor:
        """Return (past + n_frames, ...): each frame's mean over windows that have it.

        parts: (B, past + size, ...).
        """
        places = self.frames(past).flatten()
        shape = past + self.n_frames, *parts.shape[2:]
        weight = self.counts.repeat_interleave(past + self.size)
        shares = weight.view(-1, *[1] * len(parts.shape[2:]))
        total = torch.zeros(shape).index_add_(0, places, parts.flatten(0, 1) * shares)
        count = torch.zeros(shape[0]).index_add_(0, places, weight)
        return total / count.view(-1, *[1] * len(parts.shape[2:]))


def cut(n_frames: int, size: int, stride: int) -> Windows:
    """Cut a clip every `stride` frames, and once more flush with its end.

    That makes 2 + (n_frames - size) // stride windows, as published: where the last
    two are one, it counts twice.
    """
    size = min(size, n_frames)
    regular = torch.arange(0, n_frames - size + 1, stride)
    starts, counts = torch.unique(
        torch.cat([regular, torch.tensor([n_frames - size])]), return_counts=True
    )
    return Windows(n_frames, size, starts, counts.float())
