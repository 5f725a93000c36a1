"""Ridge regression from activity around a frame to its pixels; needs no encoder.

The simplest method, and so the baseline that every reconstruction has to exceed. It is
fitted to training clips alone: the penalty is chosen on some of them that are held out,
then the weights are fitted to all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import numpy as np
import torch
from scipy import linalg

from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.core.types import Array
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.metrics.similarity import video_correlation
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO

# Frames relative to the decoded one, first to stop; activity is averaged in each bin.
BINS = ((-4, 0), (0, 2), (2, 4), (4, 6), (6, 9), (9, 12))
Bins = tuple[tuple[int, int], ...]
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # in units of a neuron's variance
VALIDATION_FRACTION = 0.2  # of the training clips, to choose the penalty
_MIN_SD = 1e-6


class MovieDecoder(Protocol):
    """Decodes movies from activity."""

    def decode(self, target: InversionTarget) -> Array:
        """Return float32 (T, height, width), 0..255."""
        ...


@dataclass(frozen=True)
class ActivityScale:
    """Mean and standard deviation of each neuron's activity, (n,) each."""

    mean: Array
    sd: Array

    def z_score(self, target: InversionTarget) -> Array:
        """Return z-scored activity, float32 (T, n); lost activity is 0, the mean."""
        recorded = target.activity_tensor().numpy()
        return np.nan_to_num((recorded - self.mean) / self.sd, posinf=0, neginf=0)


@dataclass(frozen=True)
class RidgeDecoder:
    """weights (bins * n, C) from binned activity to spectrum coefficients, about means.

    penalty: the one that was chosen. score: pixel r of the clips it was chosen on.
    bins: frames of activity relative to the decoded one, see `BINS`. space: of the
    stimuli.
    """

    scale: ActivityScale
    weights: Array
    offset: Array
    penalty: float = np.nan
    score: float = np.nan
    bins: Bins = BINS
    space: StimulusSpace = VIDEO

    def decode(self, target: InversionTarget) -> Array:
        """Return float32 (T, height, width), 0..255."""
        binned = bin_activity(self.scale.z_score(target), self.bins)
        coef = binned @ self.weights + self.offset
        basis = make_dct_basis(self.space)
        return basis.to_pixels(torch.from_numpy(coef.astype(np.float32)))


def fit_ridge(
    clips: Sequence[Clip],
    on_progress: ProgressCallback = ignore_progress,
    bins: Bins = BINS,
) -> RidgeDecoder:
    """Fit the ridge decoder to clips whose stimulus is known; UserError if too few.

    bins: end earlier if the decoder must not wait for so much later activity.
    """
    fitted, validation = split_clips(clips)
    space = fitted[0].space
    scale = fit_scale([*fitted, *validation])
    products, tried = _NormalEquations.from_clips(fitted, scale, bins), list[float]()
    for index, penalty in enumerate(PENALTIES):
        solved = products.solve(penalty)
        decoder = RidgeDecoder(scale, *solved, bins=bins, space=space)
        tried.append(score_decoder(decoder, validation))
        word = f"penalty {penalty:g}: pixel r {tried[-1]:.3f}"
        on_progress("ridge decoder", (index + 1) / (1 + len(PENALTIES)), word)
    best = int(np.argmax(np.nan_to_num(tried, nan=-1)))
    on_progress("ridge decoder", 1.0, f"penalty {PENALTIES[best]:g}")
    others = _NormalEquations.from_clips(validation, scale, bins)
    whole = products.add(others).solve(PENALTIES[best])
    return RidgeDecoder(scale, *whole, PENALTIES[best], tried[best], bins, space)


def split_clips(clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Return clips for fitting and clips for validation; UserError if too few."""
    known = [clip for clip in clips if clip.stimulus is not None]
    n_kept = max(1, round(VALIDATION_FRACTION * len(known)))
    if len(known) < 2:
        raise UserError(
            f"{len(known)} of {len(clips)} clips have a stimulus; a decoder needs two "
            "or more, for fitting and validation"
        )
    return known[:-n_kept], known[-n_kept:]


def fit_scale(clips: Sequence[Clip]) -> ActivityScale:
    """Return the scale of activity in clips; a neuron without activity has mean 0."""
    recorded = np.concatenate([clip.target.activity_tensor().numpy() for clip in clips])
    known = np.isfinite(recorded)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, recorded, 0).sum(0) / count
    variance = np.where(known, (recorded - mean) ** 2, 0).sum(0) / count
    return ActivityScale(mean, np.maximum(np.sqrt(variance), _MIN_SD))


def score_decoder(decoder: MovieDecoder, clips: Sequence[Clip]) -> float:
    """Return pixel r over all frames of clips."""
    decoded = np.concatenate([decoder.decode(clip.target) for clip in clips])
    return video_correlation(
        decoded, np.concatenate([require_stimulus(clip) for clip in clips])
    )


def require_stimulus(clip: Clip) -> Array:
    """Return a clip's stimulus, which the caller knows to exist."""
    assert clip.stimulus is not None
    return clip.stimulus


def bin_activity(scored: Array, bins: Bins = BINS) -> Array:
    """Return (T, bins * n): activity (T, n) averaged over each bin around each frame.

    Outside the clip, activity is at its mean, 0.
    """
    n_frames, n = scored.shape
    before, after = -bins[0][0], bins[-1][1]
    padded = np.zeros((before + n_frames + after + 1, n))
    np.cumsum(scored, 0, out=padded[before + 1 : before + 1 + n_frames])
    padded[before + 1 + n_frames :] = padded[before + n_frames]
    parts = [
        (padded[before + stop :][:n_frames] - padded[before + first :][:n_frames])
        / (stop - first)
        for first, stop in bins
    ]
    return np.concatenate(parts, 1)


@dataclass(frozen=True)
class _NormalEquations:
    """Sums over frames from which least squares over F features is solved."""

    frames: int
    features: Array  # (F,)
    coef: Array  # (C,)
    square: Array  # (F, F) features times features
    cross: Array  # (F, C) features times coefficients

    @classmethod
    def from_clips(
        cls, clips: Sequence[Clip], scale: ActivityScale, bins: Bins
    ) -> _NormalEquations:
        """Return the sums over all frames of clips whose stimulus is known."""
        return reduce(cls.add, (cls._from_clip(clip, scale, bins) for clip in clips))

    @classmethod
    def _from_clip(
        cls, clip: Clip, scale: ActivityScale, bins: Bins
    ) -> _NormalEquations:
        stimulus = require_stimulus(clip)
        known = np.isfinite(stimulus).all((1, 2))
        x = bin_activity(scale.z_score(clip.target), bins)[known]
        basis = make_dct_basis(clip.space)
        y = basis.from_pixels(stimulus[known]).numpy().astype(np.float64)
        return cls(len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y)

    def add(self, other: _NormalEquations) -> _NormalEquations:
        """Return the sums over the frames of both."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _NormalEquations(*(mine + its for mine, its in pairs))

    def solve(self, penalty: float) -> tuple[Array, Array]:
        """Return weights (F, C) and offset (C,) of least squares under a penalty."""
        x, y = self.features / self.frames, self.coef / self.frames
        square = self.square / self.frames - np.outer(x, x)
        square[np.diag_indices_from(square)] += penalty
        cross = self.cross / self.frames - np.outer(x, y)
        weights = linalg.cho_solve(linalg.cho_factor(square), cross)
        return weights, y - x @ weights
