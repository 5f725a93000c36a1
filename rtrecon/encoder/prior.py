"""What natural movies are like before any neuron has spoken.

Each spectrum coefficient follows c_t = rho c_{t-1} + q z_t with z ~ N(0, 1): causal, so
that it streams, and white in z, so that steps in z move first what is likely.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RHO_LIMITS = (0.0, 0.995)
SPAN_FRAMES = 36  # over which movies are compared with themselves: about a live window
_N_RHO = 1000
_FIRST_DOUBT = 0.5  # of each coefficient's s.d., until errors have been measured


@dataclass(frozen=True)
class Prior:
    """mean, rho, q, doubt: (n_coef,) each, from training movies alone.

    doubt: s.d. of a reconstructed frame's error. A window rests on the last frame
    before it, and must not trust that frame more than it deserves, or slow coefficients
    such as brightness could never be corrected.
    """

    mean: Tensor
    rho: Tensor
    q: Tensor
    doubt: Tensor

    @property
    def variance(self) -> Tensor:
        """(n_coef,) stationary variance."""
        return self.q**2 / (1 - self.rho**2)

    def unroll(self, z: Tensor, before: Tensor) -> Tensor:
        """Return frames (T, n_coef) from innovations z (1 + T, n_coef).

        The first row moves the frame before them, `before`, by as much as it is
        uncertain; the others drive one frame each.
        """
        first = before - self.mean + self.doubt * z[0]
        frames = z[1:] * self.q
        frames = torch.cat([torch.addcmul(frames[:1], self.rho, first), frames[1:]])
        # In doubling strides: six for a live window, where a GPU would be asked for
        # every frame. After each, a frame holds what came in twice as many before it.
        stride, kept = 1, self.rho
        while stride < len(frames):
            later = torch.addcmul(frames[stride:], kept, frames[:-stride])
            frames = torch.cat([frames[:stride], later])
            stride, kept = 2 * stride, kept.square()
        return frames + self.mean


def fit_prior(coef: Tensor, clip_frames: int, span_frames: int = SPAN_FRAMES) -> Prior:
    """Fit a prior to training movies (T, n_coef) cut every `clip_frames` frames.

    rho is the one whose powers come closest to how a coefficient goes with itself over
    the span, a whole window. One frame alone would tell too much: movies move smoothly,
    and what hardly changes within a frame may be gone within ten.
    """
    n_clips = len(coef) // clip_frames
    clips = coef[: n_clips * clip_frames].reshape(n_clips, clip_frames, -1)
    mean = clips.mean((0, 1))
    correlation, variance = _correlation(clips - mean, span_frames)
    lags = torch.arange(1, 1 + len(correlation))
    rho = torch.linspace(*RHO_LIMITS, _N_RHO)
    powers = rho[:, None] ** lags
    # Squares of powers - correlation, summed over lags, but for what rho leaves alone.
    misfit = powers.square().sum(1)[:, None] - 2 * powers @ correlation
    best = rho[misfit.argmin(0)]
    q = (variance * (1 - best**2)).sqrt()
    return Prior(mean, best, q, doubt=_FIRST_DOUBT * variance.sqrt())


def _correlation(clips: Tensor, span_frames: int) -> tuple[Tensor, Tensor]:
    """Return (lags, n_coef) from one frame on, and (n_coef,) variance."""
    variance = clips.square().mean((0, 1)) + 1e-6
    span = min(span_frames, clips.shape[1] - 1)
    products = [
        (clips[:, lag:] * clips[:, :-lag]).mean((0, 1)) for lag in range(1, 1 + span)
    ]
    return torch.stack(products) / variance, variance
