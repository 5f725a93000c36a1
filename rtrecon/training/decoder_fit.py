"""Fits the linear decoder whose estimate is the mean of the inversion's prior.

Two ridge regressions. The first, from all neurons, finds latents: weighted sums over
neurons whose averages in a few bins of time decode the movie best. The second decodes
from these latents, with weights for every look-ahead. Penalties are chosen, and errors
measured, on the validation frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from rtrecon.encoder.activity_decoder import (
    BINS,
    LOOK_AHEADS,
    MISSING_FRACTION,
    PAST_FRAMES,
    ActivityDecoder,
    average_bins,
)
from rtrecon.encoder.prior import Prior, fit_autoregression
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.training_data import CLIP_FRAMES, TrainingData

N_LATENTS, N_COMPONENTS = 32, 64  # latents: per bin of the first regression
_LATENT_BINS = ((0, 3), (3, 6), (6, 10))
_MAX_GROUP_NEURONS = 1000  # more are regressed in groups; the cost grows with its cube
# In units of a feature's mean square.
_PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_FUTURE_FRAMES = max(stop for bins in BINS.values() for _, stop in bins) - 1
_SEGMENT_FRAMES = 1000
_MIN_SD = 1e-6

Bins = tuple[tuple[int, int], ...]
Signals = Callable[[Tensor], Tensor]  # of activity (T, n)


def fit_activity_decoder(data: TrainingData, prior: Prior) -> ActivityDecoder:
    """Return the decoder of the training frames; its data weight is still 1."""
    activity_mean, activity_sd = _fit_scale(data.training.activity)
    offset = data.training.coef.mean(0)
    projection, components = _fit_latents(data, activity_mean, activity_sd, offset)
    latent_sd = _measure_latent_sd(data.training, activity_mean, projection)
    projection = projection / latent_sd

    def project(activity: Tensor) -> Tensor:
        return (activity - activity_mean).nan_to_num() @ projection

    target = _Target(offset, components.T)
    weights = [
        _fit_ridge(data, _Features(project, bins), target)[0] for bins in BINS.values()
    ]
    n_coef = len(offset)
    decoder = ActivityDecoder(
        activity_mean=activity_mean,
        projection=projection,
        weights=torch.cat(weights),
        components=components,
        offset=offset,
        residual_variance=prior.variance.repeat(len(LOOK_AHEADS), 1),
        residual_ar=prior.ar_coefficient,
        innovation_power=torch.ones(n_coef),
        data_weight=1.0,
        gain=0.0,
    )
    return _measure_errors(decoder, data.validation)


def choose_missing_neurons(n_neurons: int) -> Tensor:
    """Return bool (n,), True for a random `MISSING_FRACTION` of the neurons."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(n_neurons, generator=generator) < MISSING_FRACTION


def decode_movie(
    decoder: ActivityDecoder, data: EncoderData, look_ahead_index: int = -1
) -> Tensor:
    """Return the estimate (T, C) with one look-ahead, by default the largest.

    A random tenth of the neurons is missing, as held-out neurons are in a session.
    """
    is_missing = choose_missing_neurons(len(decoder.activity_mean))
    activity = torch.where(is_missing, torch.nan, data.activity)
    latents = decoder.project_activity(activity)
    index = look_ahead_index % len(LOOK_AHEADS)
    padded = functional.pad(latents, (0, 0, PAST_FRAMES, LOOK_AHEADS[index]))
    return decoder.decode_with_look_ahead(padded, index)


@dataclass(frozen=True)
class _Features:
    """Features of activity (T, n): signals (T, k), averaged in bins of time."""

    compute_signals: Signals
    bins: Bins

    def compute(self, data: EncoderData, start: int, stop: int) -> Tensor:
        """Return (stop - start, bins * k) of these frames."""
        first, last = start - PAST_FRAMES, stop + _FUTURE_FRAMES
        inside = data.activity[max(0, first) : last]
        before = max(0, -first)
        after = last - first - before - len(inside)
        signals = self.compute_signals(inside)
        padded = functional.pad(signals, (0, 0, before, after))
        return average_bins(padded, self.bins, PAST_FRAMES, stop - start)


@dataclass(frozen=True)
class _Target:
    """What to decode: coefficients about `offset`, projected by `basis` (C, R)."""

    offset: Tensor
    basis: Tensor | None = None

    def compute(self, data: EncoderData, start: int, stop: int) -> Tensor:
        """Return (stop - start, R) of these frames."""
        coef = data.coef[start:stop] - self.offset
        return coef if self.basis is None else coef @ self.basis


@dataclass(frozen=True)
class _Products:
    """Means over frames of features times features and features times targets."""

    square: Tensor
    cross: Tensor
    power: Tensor

    @classmethod
    def measure(
        cls, data: EncoderData, features: _Features, target: _Target
    ) -> _Products:
        """Sum over all frames, segment by segment."""
        square = cross = power = torch.zeros(())
        for start in range(0, len(data), _SEGMENT_FRAMES):
            stop = min(start + _SEGMENT_FRAMES, len(data))
            x = features.compute(data, start, stop)
            y = target.compute(data, start, stop)
            square, cross = square + x.T @ x, cross + x.T @ y
            power = power + y.square().sum()
        return cls(square / len(data), cross / len(data), power / len(data))

    def solve(self, penalty: float) -> Tensor:
        """Return the weights of least squares under a penalty on their squares."""
        scale = self.square.diagonal().mean().clamp_min(_MIN_SD)
        penalized = self.square + penalty * scale * torch.eye(len(self.square))
        return torch.cholesky_solve(self.cross, torch.linalg.cholesky(penalized))

    def measure_error(self, weights: Tensor) -> float:
        """Return the mean squared error of weights."""
        explained = 2 * (weights * self.cross).sum()
        return float(self.power - explained + (weights * (self.square @ weights)).sum())


def _fit_ridge(
    data: TrainingData, features: _Features, target: _Target
) -> tuple[Tensor, Tensor]:
    """Return weights (F, R), and the second moments (R, R) of what they decode.

    Their penalty is the one that decodes the validation frames best.
    """
    products = _Products.measure(data.training, features, target)
    validation = _Products.measure(data.validation, features, target)
    candidates = [products.solve(penalty) for penalty in _PENALTIES]
    weights = min(candidates, key=validation.measure_error)
    return weights, weights.T @ products.square @ weights


def _fit_scale(activity: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and s.d. (n,) of activity; 0 and 1 for a neuron without any."""
    mean = activity.nanmean(0).nan_to_num()
    variance = torch.zeros_like(mean)
    for segment in activity.split(_SEGMENT_FRAMES):
        variance += (segment - mean).nan_to_num().square().sum(0)
    sd = (variance / activity.isfinite().sum(0).clamp_min(1)).sqrt()
    return mean, torch.where(sd > _MIN_SD, sd, 1.0)


def _fit_latents(
    data: TrainingData, mean: Tensor, sd: Tensor, offset: Tensor
) -> tuple[Tensor, Tensor]:
    """Return projection (n, K) and components (R, C), both from the first regression.

    Neurons are regressed in groups, each with latents of its own.
    """
    n = len(mean)
    n_groups = -(-n // _MAX_GROUP_NEURONS)
    n_latents = min(max(1, N_LATENTS // n_groups), len(offset))
    spread = torch.zeros(len(offset), len(offset))
    group_weights = []
    for group in range(n_groups):
        members = torch.arange(group, n, n_groups)
        weights, decoded = _fit_group(data, members, (mean, sd), offset)
        spread += decoded
        group_weights.append((members, weights))
    components = torch.linalg.eigh(spread).eigenvectors.flip(1).T[:N_COMPONENTS]
    n_bins = len(_LATENT_BINS)
    projection = torch.zeros(n, n_groups * n_bins * n_latents)
    for group, (members, weights) in enumerate(group_weights):
        by_bin = weights.view(n_bins, len(members), -1) @ components[:n_latents].T
        columns = slice(group * n_bins * n_latents, (group + 1) * n_bins * n_latents)
        latents = by_bin.transpose(0, 1).reshape(len(members), -1)
        projection[members, columns] = latents / sd[members, None]
    return projection, components


def _fit_group(
    data: TrainingData, members: Tensor, scale: tuple[Tensor, Tensor], offset: Tensor
) -> tuple[Tensor, Tensor]:
    """Return weights (bins * members, C), and the covariance of what they decode."""
    mean, sd = (each[members] for each in scale)

    def standardize(activity: Tensor) -> Tensor:
        return ((activity[:, members] - mean) / sd).nan_to_num()

    return _fit_ridge(data, _Features(standardize, _LATENT_BINS), _Target(offset))


def _measure_latent_sd(data: EncoderData, mean: Tensor, projection: Tensor) -> Tensor:
    total = torch.zeros(projection.shape[1])
    for segment in data.activity.split(_SEGMENT_FRAMES):
        latents = (segment - mean).nan_to_num() @ projection
        total += latents.square().sum(0)
    return (total / len(data)).sqrt().clamp_min(_MIN_SD)


def _measure_errors(decoder: ActivityDecoder, data: EncoderData) -> ActivityDecoder:
    """Return the decoder with its errors on data that it was not fitted to."""
    residuals = [
        data.coef - decode_movie(decoder, data, index)
        for index in range(len(LOOK_AHEADS))
    ]
    clip_frames = min(CLIP_FRAMES, len(data))
    n_clips = len(data) // clip_frames
    clips = residuals[-1][: n_clips * clip_frames].view(n_clips, clip_frames, -1)
    residual_ar, _ = fit_autoregression(clips)
    variance = torch.stack([each.square().mean(0) for each in residuals])
    return replace(decoder, residual_variance=variance, residual_ar=residual_ar)
