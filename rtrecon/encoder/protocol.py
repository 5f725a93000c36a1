"""What the offline methods ask of an encoder: rates, differentiable by the movie.

`Compact` answers through `reconstruct.rates`, the published encoder by itself; anything
else that has these three attributes and one method will do.
"""

from __future__ import annotations

from typing import Protocol

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
        width) where frames are padded; raw, as recorded: pupil dilation, running speed
        and, where k = 4, pupil centre x and y. What is not known is NaN: the encoder
        takes its mean in training. Both lie where the rates are to be differentiated,
        on the CPU, wherever the encoder computes.
        """
        ...
