"""Judges a new encoder on clips that were kept out: its responses, and its movie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from rtrecon.calibration.recorded_minutes import RecordedRows
from rtrecon.config import InversionSettings
from rtrecon.core.types import Array
from rtrecon.encoder.base import LiveEncoder
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.sensitivity import find_visual_field
from rtrecon.inversion.neuron_exchange import exchange_neurons
from rtrecon.inversion.objective import InverseProblem
from rtrecon.metrics.similarity import video_correlation
from rtrecon.metrics.stimulus_lag.repeats import WINDOW_S, find_repeats
from rtrecon.training.calibration import InversionResult, invert_clips
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.decoder_fit import choose_missing_neurons
from rtrecon.training.score import (
    average_correlation,
    correlate_columns,
    predict_activity,
)

# A movie is clearly better than its null by so much, and by so many standard errors.
MIN_MARGIN, _MIN_ERRORS, _MIN_BLOCKS = 0.1, 3.0, 3
_BLOCK_FRAMES = 75  # whose correlations are compared
_MAX_FRAMES = 900  # of the judged clips that are inverted
_NULL_SHIFTS = (0.25, 0.5, 0.75)  # of the length of the judged clips
_NULL_QUANTILE = 0.99
_MIN_REPEATED_S, _MAX_REPEATED_FRAMES = 30.0, 3000
_MIN_RELIABILITY = 0.005  # mean r of two showings; less may be chance


@dataclass(frozen=True)
class ResponseScore:
    """How well an encoder predicts the activity of clips kept out.

    r: (n,), NaN for a constant neuron. is_responsive: (n,) bool, whose r is above what
    99 % of neurons reach when the activity is shifted in time.
    """

    r: Array
    is_responsive: Array

    @property
    def n_responsive(self) -> int:
        """Number of responsive neurons."""
        return int(self.is_responsive.sum())

    @property
    def mean_r(self) -> float:
        """Mean r over all neurons."""
        return average_correlation(self.r)

    def share_of_ceiling(self, reliability: Array | None) -> float | None:
        """Return mean r over what a perfect encoder would reach; None if unknown.

        reliability: (n,) r of two showings of one clip. With single trials, a perfect
        encoder reaches its root. Both are means over the responsive neurons.
        """
        if reliability is None or not self.n_responsive:
            return None
        mean = average_correlation(reliability[self.is_responsive])
        if mean < _MIN_RELIABILITY:
            return None
        return average_correlation(self.r[self.is_responsive]) / float(np.sqrt(mean))


@dataclass(frozen=True)
class MovieScore:
    """Correlation of movie and stimulus where the neurons look, and that of a null.

    is_clear: whether the movie is clearly better than the null.
    """

    r: float
    null_r: float
    is_clear: bool


def judge_responses(encoder: LiveEncoder, data: EncoderData) -> ResponseScore:
    """Compare predicted and recorded activity."""
    predicted = predict_activity(encoder, data)
    recorded = data.activity[encoder.past_frames :].numpy()
    r = correlate_columns(predicted, recorded)
    shifted = [
        correlate_columns(predicted, np.roll(recorded, round(share * len(recorded)), 0))
        for share in _NULL_SHIFTS
    ]
    null = np.concatenate(shifted)
    known = null[np.isfinite(null)]
    threshold = np.quantile(known, _NULL_QUANTILE) if len(known) else np.inf
    return ResponseScore(r, np.nan_to_num(r, nan=-1.0) > threshold)


def judge_movie(
    checkpoint: Checkpoint, data: EncoderData, report_share: Callable[[float], None]
) -> MovieScore:
    """Invert the activity of clips as in a session, and with neurons exchanged."""
    clips = data.slice_frames(0, _MAX_FRAMES)
    is_missing = choose_missing_neurons(clips.activity.shape[1])
    problem = InverseProblem.from_checkpoint(checkpoint, InversionSettings())
    problem = replace(problem, weight=problem.weight * ~is_missing)
    rng = np.random.default_rng(0)
    exchanged = torch.from_numpy(exchange_neurons(is_missing.numpy(), rng.permutation))
    null_clips = replace(clips, activity=clips.activity[:, exchanged])
    visual_field = find_visual_field(checkpoint)
    found = invert_clips(
        problem, clips, visual_field, lambda share: report_share(share / 2)
    )
    null = invert_clips(
        problem, null_clips, visual_field, lambda share: report_share((1 + share) / 2)
    )
    return compare_movies(found, null)


def compare_movies(found: InversionResult, null: InversionResult) -> MovieScore:
    """Return the correlations of both with the stimulus, and whether one is better."""
    differences = [
        _correlate(found, rows) - _correlate(null, rows)
        for rows in _list_blocks(len(found.stimulus))
    ]
    known = np.array([each for each in differences if np.isfinite(each)])
    r, null_r = found.r, null.r
    is_clear = False
    if len(known) >= _MIN_BLOCKS:
        error = known.std(ddof=1) / np.sqrt(len(known))
        is_clear = bool(known.mean() > _MIN_ERRORS * error)
    is_clear &= r - np.nan_to_num(null_r) >= MIN_MARGIN
    return MovieScore(r, null_r, bool(is_clear))


def measure_reliability(
    rows: RecordedRows, picture_ids: Array, rate_hz: float
) -> Array | None:
    """Return (n,) r of the first and later showings of clips; None without repeats."""
    first, again = find_repeats(picture_ids, round(WINDOW_S * rate_hz))
    if len(first) < _MIN_REPEATED_S * rate_hz:
        return None
    newest = slice(-_MAX_REPEATED_FRAMES, None)
    return correlate_columns(rows.activity[first[newest]], rows.activity[again[newest]])


def _list_blocks(n_frames: int) -> list[slice]:
    return [
        slice(start, start + _BLOCK_FRAMES)
        for start in range(0, n_frames - _BLOCK_FRAMES + 1, _BLOCK_FRAMES)
    ]


def _correlate(result: InversionResult, rows: slice) -> float:
    movies = result.reconstruction[rows], result.stimulus[rows]
    return video_correlation(*movies, result.visual_field)
