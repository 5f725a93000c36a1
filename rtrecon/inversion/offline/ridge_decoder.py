"""Movies without an encoder: the activity around a frame tells its pixels, linearly.

What one would try first, and so the least that a reconstruction has to surpass. Fitted
and tuned on training clips alone: the penalty is chosen on some of them that are kept
out, then all are fitted again.
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
from rtrecon.core.types import Array
from rtrecon.encoder.spectrum import spectrum
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.target import Report, Target, silent
from rtrecon.metrics.similarity import video_correlation

# Frames relative to the one that is told, first to stop, averaged; cortex answers late.
BINS = ((-4, 0), (0, 2), (2, 4), (4, 6), (6, 9), (9, 12))
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # in units of a neuron's variance
KEPT_SHARE = 0.2  # of the training clips, to choose by
_LEAST_SD = 1e-6


class Decoder(Protocol):
    """Tells movies from activity."""

    def movie(self, target: Target) -> Array:
        """Return float32 (T, 36, 64), 0..255."""
        ...


@dataclass(frozen=True)
class Scale:
    """What a neuron's activity is on average, and how it varies: (n,) each."""

    mean: Array
    sd: Array

    def scored(self, target: Target) -> Array:
        """Return z-scored activity, float32 (T, n); what was lost is at its mean."""
        recorded = target.recorded().numpy()
        return np.nan_to_num((recorded - self.mean) / self.sd, posinf=0, neginf=0)


@dataclass(frozen=True)
class RidgeDecoder:
    """weights (bins * n, C) from binned activity to spectrum coefficients, about means.

    penalty: the one that was chosen. score: pixel r of the clips it was chosen on.
    """

    scale: Scale
    weights: Array
    offset: Array
    penalty: float = np.nan
    score: float = np.nan

    def movie(self, target: Target) -> Array:
        """Return float32 (T, 36, 64), 0..255."""
        coef = binned(self.scale.scored(target)) @ self.weights + self.offset
        return spectrum().to_pixels(torch.from_numpy(coef.astype(np.float32)))


def fit_ridge(clips: Sequence[Clip], report: Report = silent) -> RidgeDecoder:
    """Fit the ridge decoder to clips whose stimulus is known; UserError if too few."""
    fitted, kept = divided(clips)
    scale = scale_of([*fitted, *kept])
    products, tried = _Products.of(fitted, scale), list[float]()
    for place, penalty in enumerate(PENALTIES):
        tried.append(score_of(RidgeDecoder(scale, *products.solved(penalty)), kept))
        word = f"penalty {penalty:g}: pixel r {tried[-1]:.3f}"
        report("ridge decoder", (place + 1) / (1 + len(PENALTIES)), word)
    best = int(np.argmax(np.nan_to_num(tried, nan=-1)))
    report("ridge decoder", 1.0, f"penalty {PENALTIES[best]:g}")
    whole = products.plus(_Products.of(kept, scale)).solved(PENALTIES[best])
    return RidgeDecoder(scale, *whole, PENALTIES[best], tried[best])


def divided(clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Return clips to fit and clips to choose by, none of them in both."""
    known = [clip for clip in clips if clip.shown is not None]
    n_kept = max(1, round(KEPT_SHARE * len(known)))
    if len(known) < 2:
        raise UserError(
            f"{len(known)} of {len(clips)} clips have a stimulus; a decoder needs two "
            "or more, to fit and to choose by"
        )
    return known[:-n_kept], known[-n_kept:]


def scale_of(clips: Sequence[Clip]) -> Scale:
    """Return the scale of activity in clips; a neuron never recorded has mean 0."""
    recorded = np.concatenate([clip.target.recorded().numpy() for clip in clips])
    known = np.isfinite(recorded)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, recorded, 0).sum(0) / count
    variance = np.where(known, (recorded - mean) ** 2, 0).sum(0) / count
    return Scale(mean, np.maximum(np.sqrt(variance), _LEAST_SD))


def score_of(decoder: Decoder, clips: Sequence[Clip]) -> float:
    """Return pixel r over all frames of clips."""
    made = np.concatenate([decoder.movie(clip.target) for clip in clips])
    return video_correlation(made, np.concatenate([shown_in(clip) for clip in clips]))


def shown_in(clip: Clip) -> Array:
    """Return a clip's stimulus, which has to be known."""
    assert clip.shown is not None
    return clip.shown


def binned(scored: Array) -> Array:
    """Return (T, bins * n): activity (T, n) averaged over each bin around each frame.

    Beyond the clip's ends it is at its mean, 0.
    """
    n_frames, n = scored.shape
    before, after = -BINS[0][0], BINS[-1][1]
    padded = np.zeros((before + n_frames + after + 1, n))
    np.cumsum(scored, 0, out=padded[before + 1 : before + 1 + n_frames])
    padded[before + 1 + n_frames :] = padded[before + n_frames]
    parts = [
        (padded[before + stop :][:n_frames] - padded[before + first :][:n_frames])
        / (stop - first)
        for first, stop in BINS
    ]
    return np.concatenate(parts, 1)


@dataclass(frozen=True)
class _Products:
    """Sums over frames: all that least squares needs to know of F features."""

    frames: int
    features: Array  # (F,)
    coef: Array  # (C,)
    square: Array  # (F, F) features times features
    cross: Array  # (F, C) features times coefficients

    @classmethod
    def of(cls, clips: Sequence[Clip], scale: Scale) -> _Products:
        """Return the sums over all frames of clips whose stimulus is known."""
        return reduce(cls.plus, (cls._of_one(clip, scale) for clip in clips))

    @classmethod
    def _of_one(cls, clip: Clip, scale: Scale) -> _Products:
        shown = shown_in(clip)
        known = np.isfinite(shown).all((1, 2))
        x = binned(scale.scored(clip.target))[known]
        y = spectrum().from_pixels(shown[known]).numpy().astype(np.float64)
        return cls(len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y)

    def plus(self, other: _Products) -> _Products:
        """Return the sums over the frames of both."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Products(*(mine + its for mine, its in pairs))

    def solved(self, penalty: float) -> tuple[Array, Array]:
        """Return weights (F, C) and offset (C,) of least squares under a penalty."""
        x, y = self.features / self.frames, self.coef / self.frames
        square = self.square / self.frames - np.outer(x, x)
        square[np.diag_indices_from(square)] += penalty
        cross = self.cross / self.frames - np.outer(x, y)
        weights = linalg.cho_solve(linalg.cho_factor(square), cross)
        return weights, y - x @ weights
