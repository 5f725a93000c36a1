"""A linear decoder with random weights, for tests of what uses one."""

from __future__ import annotations

import torch

from rtrecon.encoder.activity_decoder import BINS, LOOK_AHEADS, ActivityDecoder

N_NEURONS, N_LATENTS, N_COMPONENTS, N_COEF = 7, 6, 4, 9


def make_decoder(
    n_neurons: int = N_NEURONS, n_coef: int = N_COEF, strength: float = 1.0
) -> ActivityDecoder:
    """Return a decoder whose estimate varies by about `strength`."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    n_bins = sum(len(bins) for bins in BINS.values())
    return ActivityDecoder(
        activity_mean=draw(n_neurons).abs(),
        projection=draw(n_neurons, N_LATENTS) / n_neurons**0.5,
        weights=draw(n_bins * N_LATENTS, N_COMPONENTS) / N_LATENTS**0.5,
        components=strength * draw(N_COMPONENTS, n_coef) / N_COMPONENTS**0.5,
        offset=draw(n_coef),
        residual_variance=0.5 + draw(len(LOOK_AHEADS), n_coef).abs(),
        residual_ar=torch.full((n_coef,), 0.8),
        innovation_power=torch.full((n_coef,), 0.1),
        data_weight=0.125,
        gain=0.05,
    )
