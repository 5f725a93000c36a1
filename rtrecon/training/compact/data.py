"""What an encoder is fitted to: movie, behaviour and activity, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtrecon.encoder.compact import MEMORY


@dataclass(frozen=True)
class Data:
    """coef (T, C), behavior (T, 4) z-scored, activity (T, n) of the same frames.

    Behaviour is in the order of `BEHAVIOR`. Activity is NaN where it is not known or
    not to be judged.
    """

    coef: Tensor
    behavior: Tensor
    activity: Tensor

    @property
    def n_answers(self) -> int:
        """How many frames can be answered for: all whose memory is there, too."""
        return len(self) - MEMORY + 1

    def part(self, start: int, stop: int) -> Data:
        """Return frames start to stop."""
        own = slice(start, stop)
        return Data(self.coef[own], self.behavior[own], self.activity[own])

    def parts(self, n_frames: int, past_frames: int = MEMORY - 1) -> Iterator[Data]:
        """Yield stretches that answer for up to `n_frames` each.

        Each begins with the past that its first answer rests on, so that every frame
        that can be answered for is answered for once.
        """
        for start in range(0, len(self) - past_frames, n_frames):
            yield self.part(start, start + n_frames + past_frames)

    def share(self, place: int, n_shares: int) -> Data:
        """Return one of as many stretches that answer for about as many frames each."""
        first, end = (self.n_answers * at // n_shares for at in (place, place + 1))
        return self.part(first, end + MEMORY - 1)

    def to(self, device: torch.device) -> Data:
        """Return the same on a device; on a GPU it may still be on its way there."""
        if device.type == "cpu":
            return self
        coef, behavior, activity = (
            tensor.pin_memory().to(device, non_blocking=True)
            for tensor in (self.coef, self.behavior, self.activity)
        )
        return Data(coef, behavior, activity)

    def mean(self) -> Tensor:
        """Return (n,) mean activity; 0 of a neuron of which nothing is known."""
        return self.activity.nanmean(0).nan_to_num()

    def __len__(self) -> int:
        return len(self.coef)


def join(trials: Iterable[Data], frames_at_most: int) -> Data:
    """Return trials one after the other, in no more memory than they need.

    The first MEMORY - 1 frames of each have no activity: what the movie did to them
    lies before the trial, and another trial's end must not stand in for it.
    """
    joined: Data | None = None
    end = 0
    for trial in trials:
        if joined is None:
            joined = _room(trial, frames_at_most)
        own, end = slice(end, end + len(trial)), end + len(trial)
        joined.coef[own] = trial.coef
        joined.behavior[own] = trial.behavior
        joined.activity[own] = trial.activity
        joined.activity[own][: MEMORY - 1] = torch.nan
    if joined is None:
        raise LookupError("there is no trial to join")
    return joined.part(0, end)


def _room(like: Data, n_frames: int) -> Data:
    """Return data whose pages are taken when they are filled."""

    def room(rows: Tensor) -> Tensor:
        return torch.from_numpy(np.empty((n_frames, rows.shape[1]), np.float32))

    return Data(room(like.coef), room(like.behavior), room(like.activity))
