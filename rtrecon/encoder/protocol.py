"""What the inversion asks of an encoder: rates, differentiable by the movie.

The offline methods ask an `Encoder`, from pixels: `Compact` answers through
`reconstruct.rates`, the published encoder by itself. The live inversion asks a
`LiveEncoder`, from spectrum coefficients: `Compact` answers by itself, the published
encoder through `LivePublished`. Anything else that has these attributes will do.
"""

from __future__ import annotations

from typing import Protocol, Self

import torch
from torch import Tensor

VISIBLE = (36, 64)  # height, width of what is shown, in px
PADDED = (64, 64)  # of what encoders see that were trained on padded frames


class Encoder(Protocol):
    """Expected activity of n neurons from a movie and behaviour; frozen weights.

    n_neurons: how many. past_frames: how many frames before the first one to be told
    it has to see; 0 where a window stands for itself. frame_shape: `VISIBLE`, or
    `PADDED`: such an encoder takes visible frames, which it pads with zero, or padded
    ones; and behaviour as planes too, so that both have a gradient.
    """

    @property
    def n_neurons(self) -> int: ...  # noqa: D102

    @property
    def past_frames(self) -> int: ...  # noqa: D102

    @property
    def frame_shape(self) -> tuple[int, int]: ...  # noqa: D102

    def rates(self, video: Tensor, behavior: Tensor) -> Tensor:
        """Return (..., T, n) expected activity >= 0 of every frame after the past.

        video: (..., past_frames + T, height, width) float, 0..255; leading dimensions
        are independent movies. behavior: (..., T, k), or planes (..., T, k, height,
        width) where frames are padded; raw, as recorded, in the order of `BEHAVIOR`.
        What is not known is NaN, or left out at the end: the encoder takes its mean in
        training. Both lie where the rates are to be differentiated, on the CPU,
        wherever the encoder computes.
        """
        ...


class LiveEncoder(Protocol):
    """Expected activity of n neurons from a window of movie; frozen weights.

    n_neurons: how many. past_frames: how many frames before the window its answers rest
    on, 1 or more. device: where it computes, and where all that it takes has to lie.
    """

    @property
    def n_neurons(self) -> int: ...  # noqa: D102

    @property
    def past_frames(self) -> int: ...  # noqa: D102

    @property
    def device(self) -> torch.device: ...  # noqa: D102

    def expect(self, frames: Tensor, behavior: Tensor) -> Tensor:
        """Return (T, n) expected activity > 0 of every frame after the past.

        frames: (past_frames + T, C), see `Spectrum`; what is asked for can be
        differentiated by them. behavior: (past_frames + T, 4), z-scored in the order of
        `BEHAVIOR`, 0 where unknown.
        """
        ...

    def reach(self) -> Tensor:
        """Return (past_frames + 1, n) 0..1: when a frame does to a neuron what it does.

        The share of it so many frames later, the frame's own first; they add up to 1.
        """
        ...

    def ease(self) -> str:
        """Need less of the device's memory from now on; return a sentence on it.

        Raises UserError where less will not do.
        """
        ...

    def to(self, device: torch.device, /) -> Self:
        """Move it to a device, and return it."""
        ...
