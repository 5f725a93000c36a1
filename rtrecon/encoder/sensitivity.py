"""Which parts of a stimulus an encoder depends on, measured from the encoder itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.base import LiveEncoder
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.dwiseneuro.live import LiveDwiseNeuro
from rtrecon.encoder.prior import Prior
from rtrecon.metrics.visual_field import select_visual_field
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.space import StimulusSpace

_N_MOVIES, _MOVIE_FRAMES = 8, 48  # of the prior, that the derivative is averaged over
_FEW_MOVIES, _FEW_FRAMES = 1, 2  # for DwiseNeuro, which needs seconds for a frame
_MIN_RATE = 1e-6


@dataclass(frozen=True)
class WeightedEncoder:
    """An encoder, the prior of its stimuli, and how much each neuron tells.

    weight: (n,) >= 0, one over the dispersion of the activity; 0 ignores the neuron.
    """

    encoder: LiveEncoder
    prior: Prior
    weight: Tensor
    space: StimulusSpace


def find_visual_field(checkpoint: Checkpoint) -> Array:
    """Return the pixels where the checkpoint's neurons look, bool (height, width)."""
    return select_visual_field(measure_sensitivity(checkpoint))


def get_mean_frame(checkpoint: Checkpoint) -> Array:
    """Return the mean frame of the stimuli that the prior was fitted to."""
    basis, mean = make_dct_basis(checkpoint.space), checkpoint.prior.mean
    frame: Array = basis.to_pixels(mean[None].cpu())[0]
    return frame


def measure_sensitivity(checkpoint: Checkpoint) -> Array:
    """Return how sensitive a checkpoint's neurons are to each pixel, float32 >= 0."""
    weight = 1 / checkpoint.calibration.dispersion
    weighted = WeightedEncoder(
        checkpoint.encoder, checkpoint.prior, weight, checkpoint.space
    )
    return estimate_sensitivity(weighted)


def estimate_sensitivity(weighted: WeightedEncoder) -> Array:
    """Return how sensitive the neurons are to each pixel, float32 >= 0.

    Root mean square over neurons and frames of the derivative of expected activity by
    the pixel, each neuron in units of its noise (the root of dispersion times activity;
    the square is the Fisher information about the pixel). Movies are drawn from the
    prior. Random signs of the activity make one derivative of all of them (Hutchinson
    1990); the seed is fixed, so that a checkpoint always has the same
    visual field.
    """
    encoder, prior, space = weighted.encoder, weighted.prior, weighted.space
    is_slow = isinstance(encoder, LiveDwiseNeuro)
    n_movies, n_frames = (
        (_FEW_MOVIES, _FEW_FRAMES) if is_slow else (_N_MOVIES, _MOVIE_FRAMES)
    )
    n_frames += encoder.past_frames
    generator = torch.Generator().manual_seed(0)
    information = torch.zeros(space.n_values)
    basis = make_dct_basis(space).vectors
    for _ in range(n_movies):
        z = torch.randn(1 + n_frames, len(prior.mean), generator=generator)
        movie = prior.generate_frames(z, prior.mean)
        gradient = _differentiate_activity(weighted, movie, generator)
        information += (gradient @ basis).square().sum(0)
    sensitivity = (information / n_movies).sqrt().reshape(space.shape)
    return np.asarray(sensitivity.numpy(), np.float32)


def _differentiate_activity(
    weighted: WeightedEncoder, movie: Tensor, generator: torch.Generator
) -> Tensor:
    """Return the derivative (T, C) of activity in units of noise, with random signs."""
    encoder = weighted.encoder
    movie = movie.to(encoder.device).requires_grad_(True)
    behavior = torch.zeros(len(movie), len(BEHAVIOR), device=encoder.device)
    activity = encoder.predict(movie, behavior)
    signs = torch.randn(activity.shape, generator=generator).sign().to(encoder.device)
    information = weighted.weight.to(encoder.device) / activity.detach().clamp(
        min=_MIN_RATE
    )
    scaled = activity * signs * information.sqrt()
    (gradient,) = torch.autograd.grad(scaled.sum(), movie)
    return gradient.cpu()
