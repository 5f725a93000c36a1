"""Metrics of movie and stimulus: which frames count, and when a value is known.

`StimulusMetric` does what all of them share. How similar the frames are is computed by
a `PairScore`, one class per idea.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.evidence import (
    HopEvidence,
    MetricAccumulator,
    MetricSetup,
)


class PairScore(Protocol):
    """Compares a movie with the stimulus, a few frames at a time."""

    def add_frames(self, movie: Array, stimulus: Array, *, is_continued: bool) -> None:
        """Add frames, float32 (k, height, width), k >= 1, without gaps.

        is_continued: whether the first one directly follows the last one added.
        """
        ...

    def value(self) -> float:
        """Return the score over the newest frames; NaN if it is not defined."""
        ...


class StimulusMetric:
    """A live metric that compares the movie with the stimulus, where that is known.

    Frames with a pixel that is not finite do not count.
    """

    def __init__(self, setup: MetricSetup, score: PairScore) -> None:
        self._score = score
        self._min_frames = setup.min_frames
        self._max_age_frames = setup.max_evidence_age_frames
        self._n_frames = 0
        self._age_frames = 0  # of the newest frame with a stimulus
        self._next_index: int | None = None

    def add_hop(self, evidence: HopEvidence) -> None:
        """Add the frames of one hop whose stimulus is known."""
        n_frames = len(evidence.movie)
        self._age_frames += n_frames
        for segment in evidence.segments:
            movie, stimulus = segment.movie, segment.stimulus
            index = evidence.index + segment.start
            is_continued = index == self._next_index
            self._score.add_frames(movie, stimulus, is_continued=is_continued)
            self._n_frames += len(movie)
            self._next_index = index + len(movie)
            self._age_frames = n_frames - segment.start - len(movie)

    def value(self) -> float | None:
        """Return the score; None before enough frames, and where it is not defined.

        None also where the newest frame with a stimulus is more than
        `MAX_EVIDENCE_AGE_S` old.
        """
        if self._n_frames < self._min_frames:
            return None
        if self._age_frames > self._max_age_frames:
            return None
        value = self._score.value()
        return None if np.isnan(value) else float(value)


def create_stimulus_metric(
    create_score: Callable[[MetricSetup], PairScore],
) -> Callable[[MetricSetup], MetricAccumulator]:
    """Return what `LiveMetric.create` needs for a score of movie and stimulus."""
    return lambda setup: StimulusMetric(setup, create_score(setup))


class EveryNthFrame:
    """Passes every n-th frame on to a score that looks at single frames."""

    def __init__(self, score: PairScore, n: int) -> None:
        self._score, self._n = score, n
        self._n_frames = 0

    def add_frames(self, movie: Array, stimulus: Array, *, is_continued: bool) -> None:
        """Add frames (k, height, width)."""
        chosen = slice(-self._n_frames % self._n, None, self._n)
        self._n_frames += len(movie)
        if len(movie[chosen]):
            self._score.add_frames(movie[chosen], stimulus[chosen], is_continued=False)

    def value(self) -> float:
        """Return the score of the frames that were passed on."""
        return self._score.value()


def create_frame_metric(
    create_score: Callable[[MetricSetup], PairScore],
) -> Callable[[MetricSetup], MetricAccumulator]:
    """Return what `LiveMetric.create` needs for a score of single frames.

    The score looks at every `frame_step`-th frame.
    """

    def create_metric(setup: MetricSetup) -> MetricAccumulator:
        step = setup.frame_step
        n_scored = max(1, setup.window_frames // step)
        score = create_score(replace(setup, window_frames=n_scored))
        return StimulusMetric(setup, EveryNthFrame(score, step))

    return create_metric


class FrameMean:
    """Mean over the newest frames of a score that each frame has; NaN is left out."""

    def __init__(self, window_frames: int) -> None:
        self._scores = deque[float](maxlen=window_frames)

    def add_scores(self, scores: Array) -> None:
        """Add the scores of some frames, (k,)."""
        self._scores.extend(np.asarray(scores, np.float64).tolist())

    def mean(self) -> float:
        """Return the mean; NaN if no frame has a score."""
        scores = np.array(self._scores, np.float64)
        defined = scores[~np.isnan(scores)]
        return float(defined.mean()) if len(defined) else np.nan
