"""Whether the movie causes the same activity as the stimulus, says the encoder.

Two movies that look different may be the same to the neurons: what they do not answer
to cannot be reconstructed. This score leaves it out.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.evidence import (
    HopEvidence,
    MetricSetup,
)
from rtrecon.metrics.similarity import SMALLEST_VARIANCE

_BLOCK_FRAMES = 30  # frames whose sums are stored together


class ResponseCorrelation:
    """r over neurons and frames of the encoder's answers to movie and to stimulus.

    See `correlate_responses`. The newest window counts, in blocks of 30 frames.
    """

    def __init__(self, setup: MetricSetup) -> None:
        n_blocks = max(1, setup.window_frames // _BLOCK_FRAMES)
        self._blocks = deque[_ResponseSums](maxlen=n_blocks)
        self._min_frames = setup.min_frames
        self._max_age_frames = setup.max_evidence_age_frames
        self._age_frames = 0

    def add_hop(self, evidence: HopEvidence) -> None:
        """Add the frames of one hop that have both answers."""
        self._age_frames += len(evidence.movie)
        if evidence.movie_response is None or evidence.stimulus_response is None:
            return
        movie, stimulus = evidence.movie_response, evidence.stimulus_response
        known = np.asarray(np.isfinite(movie + stimulus).all(1))
        if not known.any():
            return
        if not self._blocks or self._blocks[-1].n_frames >= _BLOCK_FRAMES:
            self._blocks.append(_ResponseSums(movie.shape[1]))
        self._blocks[-1].add(movie[known], stimulus[known])
        self._age_frames = int(np.argmax(known[::-1]))

    def value(self) -> float | None:
        """Return r; None before enough frames, and if no neuron's answers vary."""
        n_frames = sum(block.n_frames for block in self._blocks)
        if (
            n_frames < max(1, self._min_frames)
            or self._age_frames > self._max_age_frames
        ):
            return None
        sums = np.sum([block.sums for block in self._blocks], axis=0)
        r = _correlate_sums(n_frames, sums)
        return None if np.isnan(r) else r


def correlate_responses(movie: Array, stimulus: Array) -> float:
    """Return r over neurons and frames of two answers (frames, neurons).

    Each neuron's mean is removed from either answer, and both are divided by its s.d.
    over the two: neurons count alike, and how active each is does not count. NaN if no
    neuron's answers vary.
    """
    sums = _ResponseSums(movie.shape[1])
    sums.add(movie, stimulus)
    return _correlate_sums(sums.n_frames, sums.sums)


class _ResponseSums:
    """Sums over frames of a, b, a*a, b*b and a*b for every neuron, (5, n)."""

    def __init__(self, n_neurons: int) -> None:
        self.n_frames = 0
        self.sums = np.zeros((5, n_neurons))

    def add(self, movie: Array, stimulus: Array) -> None:
        a, b = movie.astype(np.float64), stimulus.astype(np.float64)
        self.n_frames += len(a)
        self.sums += [part.sum(0) for part in (a, b, a * a, b * b, a * b)]


def _correlate_sums(n_frames: int, sums: Array) -> float:
    a, b, aa, bb, ab = sums
    n = max(1, n_frames)
    variance_a, variance_b = aa - a * a / n, bb - b * b / n
    varies = variance_a + variance_b > SMALLEST_VARIANCE * (aa + bb)
    scale = np.where(varies, variance_a + variance_b, 1)
    shares = [
        np.where(varies, part / scale, 0).clip(0).sum()
        for part in (variance_a, variance_b)
    ]
    if min(shares) <= SMALLEST_VARIANCE * max(1, varies.sum()):
        return np.nan
    covariance = np.where(varies, (ab - a * b / n) / scale, 0).sum()
    return float(covariance / np.sqrt(shares[0] * shares[1]))
