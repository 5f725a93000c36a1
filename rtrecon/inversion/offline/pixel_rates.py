"""The compact encoder as the offline methods ask it: rates from pixels.

On a processor the kernels of the live inversion do what is local to a neuron, forward
and back: the movies of a batch lie one behind the other in time, each with its past, so
that one pass goes through all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Calibration, Checkpoint
from rtrecon.encoder.compact import MEMORY, Compact
from rtrecon.encoder.protocol import VISIBLE
from rtrecon.encoder.spectrum import CONTRAST, GRAY, spectrum
from rtrecon.inversion import kernels
from rtrecon.protocol.behavior import BEHAVIOR

_PAST = MEMORY - 1


class CompactRates:
    """An `Encoder` that is a checkpoint of ours; finer pixels than it sees do nothing.

    Its neurons are the checkpoint's, in that order.
    """

    past_frames = _PAST
    frame_shape = VISIBLE

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._model = checkpoint.compact()
        self._calibration = checkpoint.calibration
        self._basis = spectrum().basis
        self._layout = _laid_out(self._model)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self._model.n_neurons

    def rates(self, video: Tensor, behavior: Tensor) -> Tensor:
        """Return (..., T, n); video (..., _PAST + T, 36, 64), behavior (..., T, k)."""
        movies = video.reshape(-1, *video.shape[-3:]).flatten(2)
        coef = ((movies - GRAY) / CONTRAST) @ self._basis.T
        drive = _drive(coef, self._layout)
        told = scaled(self._calibration, behavior).flatten(0, -2)
        rates: Tensor = self._model.tune(drive.flatten(0, 1), told)
        return rates.view(*behavior.shape[:-1], -1)


def scaled(calibration: Calibration, behavior: Tensor) -> Tensor:
    """Return behaviour (..., 4) as the inversion takes it, from what was recorded.

    What was left out at the end is not known.
    """
    lacking = len(BEHAVIOR) - behavior.shape[-1]
    return calibration.scaled(functional.pad(behavior, (0, lacking), value=torch.nan))


@dataclass(frozen=True)
class _Layout:
    """What is frozen, as kernels and products read it; see `kernels`."""

    filters: Tensor  # (2 n, C), a neuron's two side by side
    taps: Array
    taps_back: Array
    halves: Array


def _laid_out(model: Compact) -> _Layout:
    n = model.n_neurons
    taps = model.taps().permute(3, 0, 1, 2)
    return _Layout(
        filters=model.filters.view(2, n, -1).transpose(0, 1).reshape(2 * n, -1),
        taps=taps.contiguous().numpy(),
        taps_back=taps.transpose(1, 2).flip(3).contiguous().numpy(),
        halves=model.halves.square().T.reshape(n, 2, 2).contiguous().numpy(),
    )


def _drive(coef: Tensor, layout: _Layout) -> Tensor:
    """Return each neuron's drive (B, T, n) to B movies (B, _PAST + T, C)."""
    apply: Callable[[Tensor, _Layout], Tensor] = _Drive.apply
    return apply(coef, layout)


class _Drive(torch.autograd.Function):
    """`_drive` by the kernels of the live inversion."""

    @staticmethod
    def forward(ctx: Any, coef: Tensor, layout: _Layout) -> Tensor:
        n, shape = len(layout.taps), coef.shape[:2]
        frames = functional.pad(coef.flatten(0, 1).T, (_PAST, 0))
        seen = (layout.filters @ frames).view(n, 2, -1)
        drive = torch.empty(n, shape.numel())
        # Going back, what comes after the last frame is nothing.
        channels = torch.zeros(n, 2, shape.numel() + _PAST)
        kernels.drive(
            seen.numpy(), layout.taps, layout.halves, channels.numpy(), drive.numpy()
        )
        ctx.layout, ctx.kept = layout, (drive, channels)
        return drive.view(n, *shape)[:, :, _PAST:].permute(1, 2, 0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        layout, (drive, channels) = ctx.layout, ctx.kept
        n_movies, n_frames, n = gradients[0].shape
        # A frame of the past drove nothing that is asked for.
        by_drive = functional.pad(gradients[0].permute(2, 0, 1), (_PAST, 0))
        by_seen = torch.empty(n, 2, drive.shape[1])
        kernels.pull_drive(
            by_drive.reshape(n, -1).contiguous().numpy(),
            drive.numpy(),
            (layout.taps_back, layout.halves),
            channels.clone().numpy(),
            by_seen.numpy(),
        )
        by_frame = layout.filters.T @ by_seen.view(2 * n, -1)
        return by_frame.T.reshape(n_movies, _PAST + n_frames, -1), None
