"""Interfaces of encoders: what the inversion needs from any of them.

Offline methods use an `Encoder`, from pixels: the compact encoder via `CompactRates`,
DwiseNeuro directly. The live inversion uses a `LiveEncoder`, from DCT coefficients: the
compact encoder directly, DwiseNeuro through `LiveDwiseNeuro`. Any other object with
these attributes works as well.
"""

from __future__ import annotations

from typing import Protocol, Self

import torch
from torch import Tensor

PADDED_SHAPE = (64, 64)  # of encoders that were trained on padded frames, px


class Encoder(Protocol):
    """Expected activity of n neurons from a movie and behavior; weights are frozen.

    past_frames: number of frames needed before the first predicted one; 0 where a
    window needs none. frame_shape: `IMAGE_SHAPE` or `PADDED_SHAPE`. An encoder of
    `PADDED_SHAPE` takes frames of either shape and pads the smaller ones with zeros; it
    also takes behavior as planes, so that movie and behavior both have a gradient.
    """

    @property
    def n_neurons(self) -> int: ...  # noqa: D102

    @property
    def past_frames(self) -> int: ...  # noqa: D102

    @property
    def frame_shape(self) -> tuple[int, int]: ...  # noqa: D102

    def predict_rates(self, video: Tensor, behavior: Tensor) -> Tensor:
        """Return (..., T, n) expected activity >= 0 of every frame after the past.

        video: (..., past_frames + T, height, width) float, 0..255; leading dimensions
        are independent movies. behavior: (..., T, k), or planes (..., T, k, height,
        width) where frames are padded; as recorded, in the order of `BEHAVIOR`. For
        values that are NaN, or left out at the end, the encoder takes the training
        mean. Both tensors lie on the CPU, wherever the encoder computes.
        """
        ...


class LiveEncoder(Protocol):
    """Expected activity of n neurons from a window of movie; weights are frozen.

    past_frames: number of frames before the window that predictions depend on, 1 or
    more. device: where it computes and where its inputs have to lie.
    """

    @property
    def n_neurons(self) -> int: ...  # noqa: D102

    @property
    def past_frames(self) -> int: ...  # noqa: D102

    @property
    def device(self) -> torch.device: ...  # noqa: D102

    def predict(self, frames: Tensor, behavior: Tensor) -> Tensor:
        """Return (T, n) expected activity > 0 of every frame after the past.

        frames: (past_frames + T, n_coef) coefficients, see `DctBasis`; the result is
        differentiable with respect to them. behavior: (past_frames + T, 4),
        standardized, in the order of `BEHAVIOR`, 0 where unknown.
        """
        ...

    def lag_weights(self) -> Tensor:
        """Return (past_frames + 1, n) 0..1: a frame's influence on activity by lag.

        Row k is the share that a frame has k frames later; columns sum to 1.
        """
        ...

    def reduce_memory(self) -> str:
        """Need less of the device's memory from now on; return a notice.

        Raises UserError where less is impossible.
        """
        ...

    def to(self, device: torch.device, /) -> Self:
        """Move it to a device and return it."""
        ...
