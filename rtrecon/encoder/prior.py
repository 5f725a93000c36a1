"""What natural movies are like before any neuron has spoken.

Each spectrum coefficient follows c_t = rho c_{t-1} + q z_t with z ~ N(0, 1): causal, so
that it streams, and white in z, so that steps in z move first what is likely.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RHO_LIMITS = (0.0, 0.995)
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
        state = before - self.mean + self.doubt * z[0]
        frames = []
        for driven in (z[1:] * self.q).unbind():
            state = torch.addcmul(driven, self.rho, state)
            frames.append(state)
        return torch.stack(frames).add_(self.mean)


def fit_prior(coef: Tensor, clip_frames: int) -> Prior:
    """Fit a prior to training movies (T, n_coef) cut every `clip_frames` frames."""
    n_clips = len(coef) // clip_frames
    clips = coef[: n_clips * clip_frames].reshape(n_clips, clip_frames, -1)
    mean = clips.mean((0, 1))
    centred = clips - mean
    variance = centred.square().mean((0, 1)) + 1e-6
    product = (centred[:, 1:] * centred[:, :-1]).mean((0, 1))
    rho = (product / variance).clamp(*RHO_LIMITS)
    q = (variance * (1 - rho**2)).sqrt()
    return Prior(mean, rho, q, doubt=_FIRST_DOUBT * variance.sqrt())
