"""What natural movies are like before any neuron has spoken.

Each spectrum coefficient follows c_t = rho c_{t-1} + q z_t with z ~ N(0, 1): causal, so
that it streams, and white in z, so that steps in z move first what is likely.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RHO_LIMITS = (0.0, 0.995)


@dataclass(frozen=True)
class Prior:
    """mean, rho, q: (n_coef,) each, from training movies alone."""

    mean: Tensor
    rho: Tensor
    q: Tensor

    @property
    def variance(self) -> Tensor:
        """(n_coef,) stationary variance."""
        return self.q**2 / (1 - self.rho**2)

    def unroll(self, n_frames: int) -> tuple[Tensor, Tensor]:
        """Return how z and the frame before make frames: (C, T, T) and (T, C).

        frames = mean + einsum('kts,sk->tk', kernel, z) + decay * (before - mean).
        """
        age = torch.arange(n_frames)[:, None] - torch.arange(n_frames)[None]
        powers = self.rho[:, None, None] ** age.clamp(min=0)
        kernel = torch.where(age >= 0, powers, 0) * self.q[:, None, None]
        decay = self.rho[None] ** torch.arange(1, n_frames + 1)[:, None]
        return kernel.contiguous(), decay


def fit_prior(coef: Tensor, clip_frames: int) -> Prior:
    """Fit a prior to training movies (T, n_coef) cut every `clip_frames` frames."""
    n_clips = len(coef) // clip_frames
    clips = coef[: n_clips * clip_frames].reshape(n_clips, clip_frames, -1)
    mean = clips.mean((0, 1))
    centred = clips - mean
    variance = centred.square().mean((0, 1)) + 1e-6
    product = (centred[:, 1:] * centred[:, :-1]).mean((0, 1))
    rho = (product / variance).clamp(*RHO_LIMITS)
    return Prior(mean, rho, (variance * (1 - rho**2)).sqrt())
