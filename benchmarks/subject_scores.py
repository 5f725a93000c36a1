"""Scores of the movies that `subjects.py` compares, and of their encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from subject_sessions import Recording, SubjectSession

from rtrecon.config import InversionSettings
from rtrecon.core.types import Array
from rtrecon.encoder.base import LiveEncoder
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.offline.results import SKIPPED_FRAMES
from rtrecon.metrics.identification import (
    SEGMENT_S,
    SegmentNormalizer,
    identify_segments,
)
from rtrecon.metrics.similarity import (
    mean_of_defined,
    neuron_correlations,
    video_correlation,
)
from rtrecon.simulate.movie import RATE_HZ

SMOOTHINGS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)  # frames and px, s.d.
# The s.d. within which half and nine tenths of a normal distribution lie.
COVERAGES = {"coverage_50": 0.6745, "coverage_90": 1.6449}
SEGMENT_FRAMES = round(SEGMENT_S * RATE_HZ)
_LAST_FRAMES = InversionSettings().window_frames  # never final, in no method counted
Figures = dict[str, Any]


def compare_with_true_rates(encoder: LiveEncoder, tests: Sequence[Recording]) -> float:
    """Return the encoder's r with single trials, divided by that of the true rates.

    tests: with standardized behavior. Means over neurons, over the frames of all clips.
    """
    basis, past = make_dct_basis(), encoder.past_frames
    parts: list[tuple[Array, Array, Array]] = []
    for each in tests:
        behavior = torch.from_numpy(each.behavior)
        with torch.no_grad():
            found = encoder.predict(basis.from_pixels(each.movie), behavior)
        parts.append((found.numpy(), each.rate[past:], each.activity[past:]))
    predicted, rate, recorded = map(np.concatenate, zip(*parts, strict=True))
    ours = np.nanmean(neuron_correlations(predicted, recorded))
    return float(ours / np.nanmean(neuron_correlations(rate, recorded)))


def score_movies(session: SubjectSession, movies: dict[str, list[Array]]) -> Figures:
    """Return the mean r over clips where neurons look, and by `whole_screen`.

    `by_clip` has the r of each clip where neurons look: of a clip that shows them
    nothing, it is about zero for every method, and moves the mean by chance.
    """
    everywhere = np.ones_like(session.visual_field)
    by_clip, on_screen = (
        {name: _correlate_clips(session, made, mask) for name, made in movies.items()}
        for mask in (session.visual_field, everywhere)
    )
    return {
        **{name: float(np.mean(r)) for name, r in by_clip.items()},
        "whole_screen": {name: float(np.mean(r)) for name, r in on_screen.items()},
        "by_clip": by_clip,
    }


def _correlate_clips(
    session: SubjectSession, movies: Sequence[Array], mask: Array
) -> list[float]:
    """Return the r of each clip; fewer movies than clips: of the first ones."""
    r = []
    for movie, recorded in zip(movies, session.tests, strict=False):
        shown = recorded.movie[: len(movie)]
        counted = slice(SKIPPED_FRAMES, len(movie) - _LAST_FRAMES)
        r.append(video_correlation(movie[counted], shown[counted], mask))
    return r


def score_best_smoothing(
    session: SubjectSession, movies: Sequence[Array]
) -> tuple[float, float]:
    """Return r and smoothing, chosen on the test clips in favour of this method."""
    scores = [
        np.mean(
            _correlate_clips(
                session,
                [gaussian_filter(each, s) for each in movies],
                session.visual_field,
            )
        )
        for s in SMOOTHINGS
    ]
    best = int(np.argmax(scores))
    return float(scores[best]), SMOOTHINGS[best]


def select_frames(recorded: Recording) -> range:
    """Return the frames of a clip for which every method has a final movie."""
    return range(SKIPPED_FRAMES, len(recorded.movie) - _LAST_FRAMES)


def measure_coverage(
    session: SubjectSession, movies: Sequence[Array], sds: Sequence[Array]
) -> Figures:
    """Return the share of pixels, where neurons look, whose error the s.d. covers."""
    ratios = []
    for movie, sd, recorded in zip(movies, sds, session.tests, strict=True):
        counted = select_frames(recorded)
        error = np.abs(movie[counted] - recorded.movie[counted])
        ratios.append((error / sd[counted])[:, session.visual_field])
    ratio = np.concatenate(ratios)
    known = ratio[np.isfinite(ratio)]
    return {
        name: float((known <= width).mean()) if len(known) else None
        for name, width in COVERAGES.items()
    }


def identify_seconds(session: SubjectSession, movies: Sequence[Array]) -> Figures:
    """Return the shares of seconds, and of pairs, that are recognised."""
    normalizer = SegmentNormalizer(session.visual_field)
    cut = [
        [
            normalizer.normalize_frames(frames[start : start + SEGMENT_FRAMES])
            for start in select_frames(recorded)[: -SEGMENT_FRAMES + 1 : SEGMENT_FRAMES]
        ]
        for movie, recorded in zip(movies, session.tests, strict=True)
        for frames in (movie, recorded.movie)
    ]
    made = np.stack([segment for part in cut[::2] for segment in part])
    shown = np.stack([segment for part in cut[1::2] for segment in part])
    found = identify_segments(made, shown)
    return {
        "recognised": mean_of_defined(found.recognised),
        "pairwise": mean_of_defined(found.pairwise),
        "segments": len(made),
    }
