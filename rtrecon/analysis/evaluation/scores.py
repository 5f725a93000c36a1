"""Scores of one clip's reconstruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rtrecon.analysis.evaluation import image_similarity
from rtrecon.core.types import Array
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.results import SKIPPED_FRAMES
from rtrecon.metrics.evidence import HopEvidence, MetricSetup
from rtrecon.metrics.frequency_bands import SEGMENT_S, TEMPORAL_BANDS
from rtrecon.metrics.live_metrics import (
    IDENTIFICATION,
    LIVE_METRICS,
    PAIRWISE_IDENTIFICATION,
    PIXEL_CORRELATION,
    VISUAL_FIELD_CORRELATION,
)
from rtrecon.metrics.similarity import (
    frame_correlation,
    neuron_correlations,
    video_correlation,
)

MIN_SCORED_FRAMES = 15  # half a second; fewer frames give no score
_NO_STIMULUS = "the stimulus is not known, so the movie cannot be compared with it"
_NO_MASK = "no mask was given, or the stimulus is not known"
_NO_HELD_OUT = "no held-out neuron was active while it was predicted"
_DO_NOT_VARY = "movie or stimulus do not vary in what is compared"
_TOO_SHORT = "a clip has no two seconds of frames in a row that can be compared"
_NO_SEGMENTS = "there are no two segments of a second whose stimuli are different"
# Live metrics that are scored of a clip; the others have names of their own here.
_CLIP_METRICS = [
    metric
    for metric in LIVE_METRICS
    if metric.needs_stimulus
    and metric
    not in (
        VISUAL_FIELD_CORRELATION,
        PIXEL_CORRELATION,
        IDENTIFICATION,
        PAIRWISE_IDENTIFICATION,
    )
]
# By name of a score: why it may be missing. The first are correlations where the
# neurons look, then on the whole screen, then in a mask that was given.
MISSING_REASONS = {
    "visual_field_r": _NO_STIMULUS,
    "visual_field_frame_r": _NO_STIMULUS,
    "video_r": _NO_STIMULUS,
    "frame_r": _NO_STIMULUS,
    "video_r_in_mask": _NO_MASK,
    "frame_r_in_mask": _NO_MASK,
    "peak_delay_ms": _NO_STIMULUS,
    "rmse": _NO_STIMULUS,
    "psnr_db": _NO_STIMULUS,
    "contrast": _NO_STIMULUS,
    "held_out_r": _NO_HELD_OUT,
    IDENTIFICATION.name: _NO_SEGMENTS,
    PAIRWISE_IDENTIFICATION.name: _NO_SEGMENTS,
    **{metric.name: _NO_STIMULUS for metric in _CLIP_METRICS},
}

Scores = dict[str, float]


def explain_missing_scores(results: Sequence[ClipResult]) -> dict[str, str]:
    """Return for each score why it may be missing for these clips."""
    if all(result.clip.stimulus is None for result in results):
        return MISSING_REASONS
    reasons = {
        name: _DO_NOT_VARY if reason == _NO_STIMULUS else reason
        for name, reason in MISSING_REASONS.items()
    }
    longest = max(int(result.select_scored_frames().sum()) for result in results)
    if longest < round(SEGMENT_S * results[0].clip.rate_hz):
        temporal = [f"{band}_temporal_correlation" for band in TEMPORAL_BANDS]
        reasons |= dict.fromkeys(temporal, _TOO_SHORT)
    return reasons


@dataclass(frozen=True)
class ClipResult:
    """A clip, its final movie (T, height, width), and the activity it predicts (T, n).

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

    held_out: (n,) bool, held-out neurons. visual_field: (height, width) bool, pixels
    where the neurons look. mask: (height, width) bool, pixels of a mask.
    """

    held_out: Array
    visual_field: Array
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
            "visual_field_r": (
                video_correlation(movie, shown, self.visual_field) if enough else np.nan
            ),
            "video_r": video_correlation(movie, shown) if enough else np.nan,
            "frame_r": frame_correlation(movie, shown) if enough else np.nan,
            "contrast": float(movie.std() / shown.std()) if varied else np.nan,
            "held_out_r": self._held_out_r(made, counted),
        }

    def score_fully(
        self, made: ClipResult, stimulus_response: Array | None = None
    ) -> Scores:
        """Return all scores by name; NaN where one is missing.

        stimulus_response: (T, n) activity that the encoder predicts for the stimulus.
        Identification is left out, because it needs the other clips.
        """
        scores = self.score_main(made)
        movie, shown = made.pair_with_stimulus(made.select_scored_frames())
        if len(movie) < MIN_SCORED_FRAMES:
            return dict.fromkeys(MISSING_REASONS, np.nan) | scores
        frame_ms = 1e3 / made.clip.rate_hz
        return scores | {
            "visual_field_frame_r": frame_correlation(movie, shown, self.visual_field),
            **self._score_in_mask(movie, shown),
            **self._score_metrics(made, stimulus_response),
            "peak_delay_ms": image_similarity.estimate_delay_frames(movie, shown)
            * frame_ms,
            "rmse": image_similarity.root_mean_square_error(movie, shown),
            "psnr_db": image_similarity.peak_signal_to_noise_db(movie, shown),
        }

    def _score_metrics(
        self, made: ClipResult, stimulus_response: Array | None
    ) -> Scores:
        """Return the live metrics of a clip, over all its scored frames."""
        evidence = _make_evidence(made, stimulus_response)
        setup = MetricSetup(
            visual_field=self.visual_field,
            rate_hz=made.clip.rate_hz,
            window_frames=len(evidence.movie),
            min_frames=MIN_SCORED_FRAMES,
            is_picture=made.clip.space.is_picture,
        )
        scores: Scores = {}
        for metric in _CLIP_METRICS:
            if metric.needs_picture and not setup.is_picture:
                continue
            accumulator = metric.create(setup)
            accumulator.add_hop(evidence)
            value = accumulator.value()
            scores[metric.name] = np.nan if value is None else value
        return scores

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


def _make_evidence(made: ClipResult, stimulus_response: Array | None) -> HopEvidence:
    """Return a clip's frames up to the last scored one, with what they compare with."""
    counted = made.select_scored_frames()
    shown = made.clip.stimulus
    n_frames = int(np.flatnonzero(counted)[-1]) + 1 if counted.any() else 0
    response = made.predicted[:n_frames].copy()
    response[~counted[:n_frames]] = np.nan
    nothing = np.empty((n_frames, 0))
    return HopEvidence(
        index=0,
        movie=made.movie[:n_frames],
        stimulus=[
            shown[index] if shown is not None and counted[index] else None
            for index in range(n_frames)
        ],
        predicted=nothing,
        recorded=nothing,
        movie_response=response,
        stimulus_response=(
            None if stimulus_response is None else stimulus_response[:n_frames]
        ),
    )
