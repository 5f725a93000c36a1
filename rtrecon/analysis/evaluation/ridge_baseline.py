"""Ridge regression from activity to pixels, fitted to the other clips of a session.

The features are those of `inversion.offline.ridge_decoder`. A session has fewer frames
than there are features, so the regression is solved by its frames: the weights are
sums over training frames, and only products of frames are needed (Saunders, Gammerman &
Vovk 1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import linalg

from rtrecon.core.types import Array
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.ridge_decoder import (
    PENALTIES,
    ActivityScale,
    bin_activity,
    fit_scale,
    require_stimulus,
)
from rtrecon.metrics.similarity import video_correlation
from rtrecon.stimulus_space.space import StimulusSpace

MAX_TRAINING_FRAMES = 3000  # spread evenly; frames that follow each other are alike


def decode_by_other_clips(clips: Sequence[Clip]) -> list[Array]:
    """Return a movie float32 (T, height, width) of each clip, decoded by the others.

    The penalty is the one with the largest mean r over these clips: that favours this
    method. [] if fewer than two clips have a stimulus, or any has none.
    """
    if len(clips) < 2 or any(clip.stimulus is None for clip in clips):
        return []
    scale = fit_scale(clips)
    training = _TrainingFrames.from_clips(clips, scale)
    by_penalty = [list[Array]() for _ in PENALTIES]
    for index, clip in enumerate(clips):
        features = bin_activity(scale.z_score(clip.target)).astype(np.float32)
        decoded = training.leave_out(index).decode(features)
        for movies, movie in zip(by_penalty, decoded, strict=True):
            movies.append(movie)
    return max(by_penalty, key=lambda movies: _score_movies(movies, clips))


def _score_movies(movies: Sequence[Array], clips: Sequence[Clip]) -> float:
    """Return the mean r over clips; clips without one do not count."""
    r = np.array(
        [
            video_correlation(movie, require_stimulus(clip))
            for movie, clip in zip(movies, clips, strict=True)
        ]
    )
    defined = r[np.isfinite(r)]
    return float(defined.mean()) if len(defined) else -1.0


@dataclass(frozen=True)
class _TrainingFrames:
    """Frames to learn from. features: (N, F). coef: (N, C). clip_index: (N,).

    products: (N, N) of the features of every two frames. space: of the stimuli.
    """

    features: Array
    coef: Array
    clip_index: Array
    products: Array
    space: StimulusSpace

    @classmethod
    def from_clips(cls, clips: Sequence[Clip], scale: ActivityScale) -> _TrainingFrames:
        """Return frames with a known stimulus, at most `MAX_TRAINING_FRAMES`."""
        features, coef, clip_index = [], [], []
        space = clips[0].space
        basis = make_dct_basis(space)
        n_frames = sum(len(clip.target) for clip in clips)
        step = -(-n_frames // MAX_TRAINING_FRAMES)
        for index, clip in enumerate(clips):
            stimulus = require_stimulus(clip)
            chosen = np.flatnonzero(np.isfinite(stimulus).all((1, 2)))[::step]
            binned = bin_activity(scale.z_score(clip.target))[chosen]
            features.append(binned.astype(np.float32))
            coef.append(basis.from_pixels(stimulus[chosen]).numpy())
            clip_index.append(np.full(len(chosen), index))
        x = np.concatenate(features)
        return cls(x, np.concatenate(coef), np.concatenate(clip_index), x @ x.T, space)

    def leave_out(self, index: int) -> _TrainingFrames:
        """Return the frames of all other clips."""
        chosen = self.clip_index != index
        return _TrainingFrames(
            self.features[chosen],
            self.coef[chosen],
            self.clip_index[chosen],
            self.products[np.ix_(chosen, chosen)],
            self.space,
        )

    def decode(self, features: Array) -> list[Array]:
        """Return movies of frames with these features (T, F), one for each penalty."""
        n = len(self.features)
        row_mean = self.products.mean(0)
        centred = self.products - row_mean - row_mean[:, None] + row_mean.mean()
        cross = features @ self.features.T
        cross -= cross.mean(1, keepdims=True) + row_mean - row_mean.mean()
        coef_mean = self.coef.mean(0)
        movies = []
        for penalty in PENALTIES:
            system = centred.astype(np.float64)
            system[np.diag_indices(n)] += penalty * n
            factor = linalg.cho_factor(system, overwrite_a=True, check_finite=False)
            weights = linalg.cho_solve(factor, self.coef - coef_mean)
            coef = (cross @ weights + coef_mean).astype(np.float32)
            basis = make_dct_basis(self.space)
            movies.append(basis.to_pixels(torch.from_numpy(coef)))
        return movies
