"""Encoders of ours as the offline methods use them: activity from pixels.

For the compact one, the kernels of the live inversion compute everything that is local
to a neuron, forward and backward. The movies of a batch lie one after another in time,
each with its past, so that one pass computes all of them.
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
from rtrecon.encoder.compact import MEMORY_FRAMES, CompactEncoder
from rtrecon.encoder.convolutional.encoder import ConvolutionalEncoder
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion import kernels
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.space import CONTRAST_LEVELS, MIDDLE_LEVEL
from rtrecon.stimulus_space.video import IMAGE_SHAPE

_PAST = MEMORY_FRAMES - 1


class CompactPixelEncoder:
    """An `Encoder` that is a checkpoint of ours; finer pixels than it sees do nothing.

    Its neurons are the checkpoint's, in that order.
    """

    past_frames = _PAST
    frame_shape = IMAGE_SHAPE

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._model = checkpoint.require_compact()
        self._calibration = checkpoint.calibration
        self._basis = make_dct_basis().vectors
        self._layout = _create_layout(self._model)

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self._model.n_neurons

    def predict_rates(self, video: Tensor, behavior: Tensor) -> Tensor:
        """Return (..., T, n); video (..., _PAST + T, 36, 64), behavior (..., T, k)."""
        movies = video.reshape(-1, *video.shape[-3:]).flatten(2)
        coef = ((movies - MIDDLE_LEVEL) / CONTRAST_LEVELS) @ self._basis.T
        drive = _compute_drive(coef, self._layout)
        standardized = standardize_behavior(self._calibration, behavior).flatten(0, -2)
        rates: Tensor = self._model.apply_nonlinearity(
            drive.flatten(0, 1), standardized
        )
        return rates.view(*behavior.shape[:-1], -1)


class ConvolutionalPixelEncoder:
    """An `Encoder` that is a convolutional one of ours, for the CPU."""

    past_frames = _PAST
    frame_shape = IMAGE_SHAPE

    def __init__(self, encoder: ConvolutionalEncoder, calibration: Calibration) -> None:
        self._encoder, self._calibration = encoder, calibration
        self._basis = make_dct_basis().vectors

    @property
    def n_neurons(self) -> int:
        """Number of neurons."""
        return self._encoder.n_neurons

    def predict_rates(self, video: Tensor, behavior: Tensor) -> Tensor:
        """Return (..., T, n); video (..., _PAST + T, 36, 64), behavior (..., T, k)."""
        movies = video.reshape(-1, *video.shape[-3:]).flatten(2)
        coef = ((movies - MIDDLE_LEVEL) / CONTRAST_LEVELS) @ self._basis.T
        standardized = standardize_behavior(self._calibration, behavior)
        states = standardized.reshape(len(coef), *standardized.shape[-2:])
        rates = [
            self._encoder.predict(frames, state)
            for frames, state in zip(coef, states, strict=True)
        ]
        return torch.stack(rates).view(*behavior.shape[:-1], -1)


def standardize_behavior(calibration: Calibration, behavior: Tensor) -> Tensor:
    """Return behaviour (..., 4) as the inversion takes it, from what was recorded.

    What was left out at the end is not known.
    """
    lacking = len(BEHAVIOR) - behavior.shape[-1]
    return calibration.standardize_behavior(
        functional.pad(behavior, (0, lacking), value=torch.nan)
    )


@dataclass(frozen=True)
class _KernelLayout:
    """What is frozen, as kernels and products read it; see `kernels`."""

    filters: Tensor  # (2 n, C), a neuron's two side by side
    taps: Array
    taps_back: Array
    halves: Array


def _create_layout(model: CompactEncoder) -> _KernelLayout:
    n = model.n_neurons
    taps = model.compute_taps().permute(3, 0, 1, 2)
    return _KernelLayout(
        filters=model.spatial_filters.view(2, n, -1).transpose(0, 1).reshape(2 * n, -1),
        taps=taps.contiguous().numpy(),
        taps_back=taps.transpose(1, 2).flip(3).contiguous().numpy(),
        halves=model.rectifier_weights.square().T.reshape(n, 2, 2).contiguous().numpy(),
    )


def _compute_drive(coef: Tensor, layout: _KernelLayout) -> Tensor:
    """Return each neuron's drive (B, T, n) to B movies (B, _PAST + T, C)."""
    apply: Callable[[Tensor, _KernelLayout], Tensor] = _DriveFunction.apply
    return apply(coef, layout)


class _DriveFunction(torch.autograd.Function):
    """`_compute_drive` with the kernels of the live inversion."""

    @staticmethod
    def forward(ctx: Any, coef: Tensor, layout: _KernelLayout) -> Tensor:
        n, shape = len(layout.taps), coef.shape[:2]
        frames = functional.pad(coef.flatten(0, 1).T, (_PAST, 0))
        seen = (layout.filters @ frames).view(n, 2, -1)
        drive = torch.empty(n, shape.numel())
        # Going back, what comes after the last frame is nothing.
        channels = torch.zeros(n, 2, shape.numel() + _PAST)
        kernels.compute_drive(
            seen.numpy(), layout.taps, layout.halves, channels.numpy(), drive.numpy()
        )
        ctx.layout, ctx.saved = layout, (drive, channels)
        return drive.view(n, *shape)[:, :, _PAST:].permute(1, 2, 0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        layout, (drive, channels) = ctx.layout, ctx.saved
        n_movies, n_frames, n = gradients[0].shape
        # A frame of the past drove nothing that is asked for.
        by_drive = functional.pad(gradients[0].permute(2, 0, 1), (_PAST, 0))
        by_seen = torch.empty(n, 2, drive.shape[1])
        kernels.backpropagate_drive(
            by_drive.reshape(n, -1).contiguous().numpy(),
            drive.numpy(),
            (layout.taps_back, layout.halves),
            channels.clone().numpy(),
            by_seen.numpy(),
        )
        by_frame = layout.filters.T @ by_seen.view(2 * n, -1)
        return by_frame.T.reshape(n_movies, _PAST + n_frames, -1), None
