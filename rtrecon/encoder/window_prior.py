"""Prior of one window of frames: an autoregression about a mean that may move.

c_t - m_t = rho (c_{t-1} - m_{t-1}) + q_t z_t with innovations z ~ N(0, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class WindowPrior:
    """Parameters of the autoregression in a window of T frames.

    mean (T, n_coef): m, and previous_mean (n_coef,) of the frame before the window.
    ar_coefficient (n_coef,): rho. innovation_sd (T, n_coef): q. frame_error_sd
    (n_coef,): s.d. of the error of the frame before the window, see `Prior`.
    """

    previous_mean: Tensor
    mean: Tensor
    ar_coefficient: Tensor
    innovation_sd: Tensor
    frame_error_sd: Tensor

    def generate_frames(self, innovations: Tensor, previous_frame: Tensor) -> Tensor:
        """Return frames (T, n_coef) from innovations (1 + T, n_coef).

        The first row of innovations moves `previous_frame` by as much as it is
        uncertain; each other row drives one frame.
        """
        first = previous_frame - self.previous_mean
        first = first + self.frame_error_sd * innovations[0]
        frames = innovations[1:] * self.innovation_sd
        frames = torch.cat(
            [torch.addcmul(frames[:1], self.ar_coefficient, first), frames[1:]]
        )
        # Strides double: six steps for a live window, where a loop would launch one GPU
        # kernel per frame. After each, a frame holds twice as many earlier innovations.
        stride, decay = 1, self.ar_coefficient
        while stride < len(frames):
            delayed = torch.addcmul(frames[stride:], decay, frames[:-stride])
            frames = torch.cat([frames[:stride], delayed])
            stride, decay = 2 * stride, decay.square()
        return frames + self.mean

    def to(self, device: str | torch.device) -> WindowPrior:
        """Return the prior on a device."""
        return WindowPrior(**{k: value.to(device) for k, value in vars(self).items()})
