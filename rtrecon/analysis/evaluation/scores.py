"""Scores of one clip's reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rtrecon.analysis.evaluation import image_similarity
from rtrecon.core.types import Array
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.results import SKIPPED_FRAMES
from rtrecon.metrics.similarity import (
    frame_correlation,
    neuron_correlations,
    video_correlation,
)

MIN_SCORED_FRAMES = 15  # half a second; fewer frames give no score
_NO_STIMULUS = "the stimulus is not known, so the movie cannot be compared with it"
_NO_MASK = "no mask was given, or the stimulus is not known"
_NO_HELD_OUT = "no held-out neuron was active while it was predicted"
# By name of a score: why it may be missing.
MISSING_REASONS = {
    "video_r": _NO_STIMULUS,
    "frame_r": _NO_STIMULUS,
    "video_r_in_mask": _NO_MASK,
    "frame_r_in_mask": _NO_MASK,
    "peak_delay_ms": _NO_STIMULUS,
    "rmse": _NO_STIMULUS,
    "psnr_db": _NO_STIMULUS,
    "ssim": _NO_STIMULUS,
    "contrast": _NO_STIMULUS,
    "held_out_r": _NO_HELD_OUT,
}

Scores = dict[str, float]


@dataclass(frozen=True)
class ClipResult:
    """A clip, its final movie (T, 36, 64), and the activity it predicts (T, n).

    movie_by_lag: the movie when its frames had that age, for the lags asked for.
    """

    clip: Clip
    movie: Array
    predicted: Array
    movie_by_lag: Mapping[int, Array] = field(default_factory=dict)

    def select_scored_frames(self) -> Array:
        """Return which frames are scored, (T,) bool: settled, and with a movie.

        The first frames are left out, as in published figures; of a short clip, its
        first half.
        """
        counted = np.array(np.isfinite(self.movie).all((1, 2)))
        counted[: min(SKIPPED_FRAMES, len(counted) // 2)] = False
        return counted

    def pair_with_stimulus(self, frames: Array) -> tuple[Array, Array]:
        """Return movie and stimulus of those frames for which both are known."""
        shown = self.clip.stimulus
        if shown is None:
            shown = np.full_like(self.movie, np.nan)
        known = frames & np.isfinite(shown).all((1, 2))
        return self.movie[known], shown[known]


@dataclass(frozen=True)
class ClipScorer:
    """Scores clip results.

    held_out: (n,) bool, held-out neurons. mask: (36, 64) bool, pixels of a mask.
    """

    held_out: Array
    mask: Array | None = None

    def score_main(self, made: ClipResult, frames: Array | None = None) -> Scores:
        """Return the main scores by name; NaN where one is missing.

        frames: (T,) bool, those to score; all settled frames by default.
        """
        counted = made.select_scored_frames()
        if frames is not None:
            counted &= frames
        movie, shown = made.pair_with_stimulus(counted)
        enough = len(movie) >= MIN_SCORED_FRAMES
        varied = enough and bool(shown.std())
        return {
            "video_r": video_correlation(movie, shown) if enough else np.nan,
            "frame_r": frame_correlation(movie, shown) if enough else np.nan,
            "contrast": float(movie.std() / shown.std()) if varied else np.nan,
            "held_out_r": self._held_out_r(made, counted),
        }

    def score_fully(self, made: ClipResult) -> Scores:
        """Return all scores by name; NaN where one is missing."""
        scores = self.score_main(made)
        movie, shown = made.pair_with_stimulus(made.select_scored_frames())
        if len(movie) < MIN_SCORED_FRAMES:
            return dict.fromkeys(MISSING_REASONS, np.nan) | scores
        frame_ms = 1e3 / made.clip.rate_hz
        return scores | {
            **self._score_in_mask(movie, shown),
            "peak_delay_ms": image_similarity.estimate_delay_frames(movie, shown)
            * frame_ms,
            "rmse": image_similarity.root_mean_square_error(movie, shown),
            "psnr_db": image_similarity.peak_signal_to_noise_db(movie, shown),
            "ssim": image_similarity.structural_similarity(movie, shown),
        }

    def _score_in_mask(self, movie: Array, shown: Array) -> Scores:
        if self.mask is None:
            return {}
        return {
            "video_r_in_mask": video_correlation(movie, shown, self.mask),
            "frame_r_in_mask": frame_correlation(movie, shown, self.mask),
        }

    def _held_out_r(self, made: ClipResult, counted: Array) -> float:
        recorded = made.clip.target.activity[counted][:, self.held_out]
        if len(recorded) < MIN_SCORED_FRAMES:
            return np.nan
        r = neuron_correlations(made.predicted[counted][:, self.held_out], recorded)
        known = r[np.isfinite(r)]
        return float(known.mean()) if len(known) else np.nan
