"""Cuts a clip into overlapping windows, and averages windows back into a clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClipWindows:
    """Windows of `size` frames of a clip of `n_frames`.

    starts: (B,) int64. counts: (B,) float, weight of each window. A clip shorter than a
    window is one window.
    """

    n_frames: int
    size: int
    starts: Tensor
    counts: Tensor

    def __len__(self) -> int:
        return len(self.starts)

    def frame_indices(self, past: int = 0) -> Tensor:
        """Return (B, past + size): each window's frames after `past` others."""
        return self.starts[:, None] + torch.arange(past + self.size)

    def average_windows(self, parts: Tensor, past: int = 0) -> Tensor:
        """Return (past + n_frames, ...): each frame's weighted mean over its windows.

        parts: (B, past + size, ...).
        """
        indices = self.frame_indices(past).flatten()
        shape = past + self.n_frames, *parts.shape[2:]
        weight = self.counts.repeat_interleave(past + self.size)
        shares = weight.view(-1, *[1] * len(parts.shape[2:]))
        total = torch.zeros(shape).index_add_(0, indices, parts.flatten(0, 1) * shares)
        count = torch.zeros(shape[0]).index_add_(0, indices, weight)
        return total / count.view(-1, *[1] * len(parts.shape[2:]))


def cut_windows(n_frames: int, size: int, stride: int) -> ClipWindows:
    """Cut a clip into windows every `stride` frames, and one that ends with the clip.

    There are 2 + (n_frames - size) // stride windows, as in the published protocol; if
    the last two are the same, that window counts twice.
    """
    size = min(size, n_frames)
    regular = torch.arange(0, n_frames - size + 1, stride)
    starts, counts = torch.unique(
        torch.cat([regular, torch.tensor([n_frames - size])]), return_counts=True
    )
    return ClipWindows(n_frames, size, starts, counts.float())
