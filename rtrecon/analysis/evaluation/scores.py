"""What one clip's reconstruction is worth, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rtrecon.analysis.evaluation import image_similarity
from rtrecon.core.types import Array
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.results import SETTLED_FROM
from rtrecon.metrics.similarity import (
    frame_correlation,
    pearson_per_neuron,
    video_correlation,
)

FEWEST_FRAMES = 15  # half a second; of fewer there are no figures
_NO_STIMULUS = "the stimulus is not known: there is nothing to compare with"
_NO_MASK = "no mask is given, or the stimulus is not known"
_NO_HELD_OUT = "no held-out neuron varied where it was predicted"
# By name of a figure: why there may be none.
REASONS = {
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
class Made:
    """A clip, the final movie (T, 36, 64) made of it, and what it predicts: (T, n).

    by_lag: the movie as it stood when its frames were so old, where that was asked for.
    """

    clip: Clip
    movie: Array
    predicted: Array
    by_lag: Mapping[int, Array] = field(default_factory=dict)

    def counted(self) -> Array:
        """Return which frames count, (T,) bool: settled, and with a movie.

        Left out are those that published figures leave out, of a short clip its first
        half.
        """
        counted = np.array(np.isfinite(self.movie).all((1, 2)))
        counted[: min(SETTLED_FROM, len(counted) // 2)] = False
        return counted

    def compared(self, frames: Array) -> tuple[Array, Array]:
        """Return movie and stimulus of those frames of which both are known."""
        shown = self.clip.shown
        if shown is None:
            shown = np.full_like(self.movie, np.nan)
        known = frames & np.isfinite(shown).all((1, 2))
        return self.movie[known], shown[known]


@dataclass(frozen=True)
class Scorer:
    """Scores what was made.

    hidden: (n,) bool, held-out neurons. mask: (36, 64) bool, pixels of a mask.
    """

    hidden: Array
    mask: Array | None = None

    def scores(self, made: Made, frames: Array | None = None) -> Scores:
        """Return the figures of most interest by name, NaN where there are none.

        frames: (T,) bool, those to count; all that settled if not given.
        """
        counted = made.counted()
        if frames is not None:
            counted &= frames
        movie, shown = made.compared(counted)
        enough = len(movie) >= FEWEST_FRAMES
        varied = enough and bool(shown.std())
        return {
            "video_r": video_correlation(movie, shown) if enough else np.nan,
            "frame_r": frame_correlation(movie, shown) if enough else np.nan,
            "contrast": float(movie.std() / shown.std()) if varied else np.nan,
            "held_out_r": self._held_out_r(made, counted),
        }

    def in_full(self, made: Made) -> Scores:
        """Return every figure by name, NaN where there is none."""
        scores = self.scores(made)
        movie, shown = made.compared(made.counted())
        if len(movie) < FEWEST_FRAMES:
            return dict.fromkeys(REASONS, np.nan) | scores
        frame_ms = 1e3 / made.clip.rate_hz
        return scores | {
            **self._in_mask(movie, shown),
            "peak_delay_ms": image_similarity.peak_delay_frames(movie, shown)
            * frame_ms,
            "rmse": image_similarity.rmse(movie, shown),
            "psnr_db": image_similarity.psnr_db(movie, shown),
            "ssim": image_similarity.ssim(movie, shown),
        }

    def _in_mask(self, movie: Array, shown: Array) -> Scores:
        if self.mask is None:
            return {}
        return {
            "video_r_in_mask": video_correlation(movie, shown, self.mask),
            "frame_r_in_mask": frame_correlation(movie, shown, self.mask),
        }

    def _held_out_r(self, made: Made, counted: Array) -> float:
        recorded = made.clip.target.activity[counted][:, self.hidden]
        if len(recorded) < FEWEST_FRAMES:
            return np.nan
        r = pearson_per_neuron(made.predicted[counted][:, self.hidden], recorded)
        known = r[np.isfinite(r)]
        return float(known.mean()) if len(known) else np.nan
