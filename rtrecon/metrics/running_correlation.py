"""Correlations over the newest frames, updated frame by frame in constant time.

Every correlation is Pearson's r; where one side does not vary there is none.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.similarity import correlation_from_sums


class RunningNeuronCorrelation:
    """r per neuron between two streams over the newest `window_frames` samples.

    Stores the window and its sums; the cost of an update does not depend on the
    length of the window or of the session.
    """

    def __init__(self, n_neurons: int, window_frames: int) -> None:
        # n, a, b, aa, bb, ab of each sample: zero where either is NaN.
        self._terms = np.zeros((window_frames, 6, n_neurons))
        self._sums = np.zeros((6, n_neurons))
        self._slot = 0

    def add_sample(self, a: Array, b: Array) -> None:
        """Add one sample of each stream, (n_neurons,); the oldest is dropped."""
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        terms = np.stack([np.ones_like(a), a, b, a * a, b * b, a * b])
        terms[:, np.isnan(a + b)] = 0
        self._sums += terms - self._terms[self._slot]
        self._terms[self._slot] = terms
        self._slot = (self._slot + 1) % len(self._terms)
        if self._slot == 0:
            # Without this, rounding errors of adding and subtracting grow for ever.
            self._sums = self._terms.sum(axis=0)

    def count_samples(self) -> Array:
        """Return how many samples of each neuron count, (n_neurons,): finite in both.

        Only those in the window.
        """
        counts: Array = self._sums[0]
        return counts

    def per_neuron(self) -> Array:
        """Return r of each neuron, (n_neurons,) float64, NaN where it is undefined."""
        return correlation_from_sums(*self._sums)


class RunningVideoCorrelation:
    """r over all pixels of the newest `window_frames` pairs of frames.

    min_sd: a movie that varies less is constant; filters leave rounding errors of a
    constant movie.
    """

    def __init__(self, window_frames: int, min_sd: float = 0.0) -> None:
        self._sums = np.zeros((window_frames, 6))
        self._min_sd = min_sd
        self.count = 0

    def add_frames(self, a: Array, b: Array) -> None:
        """Add some frames of each movie; (k, ...), both of the same shape."""
        a = a.reshape(len(a), -1).astype(np.float64)
        b = b.reshape(len(b), -1).astype(np.float64)
        sums = np.stack(
            [
                np.full(len(a), a.shape[1], np.float64),
                a.sum(1),
                b.sum(1),
                np.einsum("kp,kp->k", a, a),
                np.einsum("kp,kp->k", b, b),
                np.einsum("kp,kp->k", a, b),
            ],
            axis=1,
        )
        slots = (self.count + np.arange(len(sums))) % len(self._sums)
        self._sums[slots] = sums
        self.count += len(sums)

    def correlation(self) -> float:
        """Return r; NaN before the first frame and if one movie is constant."""
        n, a, b, aa, bb, ab = self._sums.sum(0)
        if min(n * aa - a * a, n * bb - b * b) < (n * self._min_sd) ** 2:
            return np.nan
        return float(correlation_from_sums(n, a, b, aa, bb, ab))
