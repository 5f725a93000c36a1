"""Data that an encoder is fitted to: movie, behavior and activity, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtrecon.encoder.compact import MEMORY_FRAMES


@dataclass(frozen=True)
class EncoderData:
    """Tensors of the same T frames.

    coef (T, C): the movie. behavior (T, 4): standardized, in the order of `BEHAVIOR`.
    activity (T, n): NaN where it is unknown or must not enter a score.
    """

    coef: Tensor
    behavior: Tensor
    activity: Tensor

    @property
    def n_predicted(self) -> int:
        """Number of frames that can be predicted: those with a complete past."""
        return len(self) - MEMORY_FRAMES + 1

    def slice_frames(self, start: int, stop: int) -> EncoderData:
        """Return frames start to stop."""
        frames = slice(start, stop)
        return EncoderData(
            self.coef[frames], self.behavior[frames], self.activity[frames]
        )

    def iterate_segments(
        self, n_frames: int, past_frames: int = MEMORY_FRAMES - 1
    ) -> Iterator[EncoderData]:
        """Yield segments in which up to `n_frames` can be predicted.

        Each begins with the past of its first predicted frame, so that every frame that
        can be predicted is predicted once.
        """
        for start in range(0, len(self) - past_frames, n_frames):
            yield self.slice_frames(start, start + n_frames + past_frames)

    def select_share(self, index: int, n_shares: int) -> EncoderData:
        """Return one of `n_shares` segments with about as many predicted frames."""
        first, end = (self.n_predicted * i // n_shares for i in (index, index + 1))
        return self.slice_frames(first, end + MEMORY_FRAMES - 1)

    def to(self, device: torch.device) -> EncoderData:
        """Return a copy on a device; to a GPU the copy is asynchronous."""
        if device.type == "cpu":
            return self
        coef, behavior, activity = (
            tensor.pin_memory().to(device, non_blocking=True)
            for tensor in (self.coef, self.behavior, self.activity)
        )
        return EncoderData(coef, behavior, activity)

    def mean_activity(self) -> Tensor:
        """Return (n,) mean activity; 0 for a neuron without any."""
        return self.activity.nanmean(0).nan_to_num()

    def __len__(self) -> int:
        return len(self.coef)


def concatenate_trials(trials: Iterable[EncoderData], max_frames: int) -> EncoderData:
    """Return trials one after the other, holding only one of them twice in memory.

    The first MEMORY_FRAMES - 1 frames of each get NaN as activity: they depend on
    frames before the trial, and the end of another trial must not stand in for these.
    """
    whole: EncoderData | None = None
    end = 0
    for trial in trials:
        if whole is None:
            whole = _allocate(trial, max_frames)
        rows, end = slice(end, end + len(trial)), end + len(trial)
        whole.coef[rows] = trial.coef
        whole.behavior[rows] = trial.behavior
        whole.activity[rows] = trial.activity
        whole.activity[rows][: MEMORY_FRAMES - 1] = torch.nan
    if whole is None:
        raise LookupError("there is no trial to concatenate")
    return whole.slice_frames(0, end)


def _allocate(like: EncoderData, n_frames: int) -> EncoderData:
    """Return uninitialized data; the system assigns its memory when it is filled."""

    def allocate_rows(rows: Tensor) -> Tensor:
        return torch.from_numpy(np.empty((n_frames, rows.shape[1]), np.float32))

    return EncoderData(
        allocate_rows(like.coef),
        allocate_rows(like.behavior),
        allocate_rows(like.activity),
    )
