"""How alike two movies are, or two recordings of the same neurons. numpy only.

Every correlation is Pearson's r; where one side does not vary there is none: NaN.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array

SMALLEST_VARIANCE = 1e-12  # of the mean square


def video_correlation(a: Array, b: Array, mask: Array | None = None) -> float:
    """Return r over all pixels of all frames, flattened.

    a, b: (n, height, width). mask: (height, width), pixels that count are non-zero.
    """
    return float(_pearson(*_masked(a, b, mask), axis=None))


def frame_correlation(a: Array, b: Array, mask: Array | None = None) -> float:
    """Return the mean over frames of the spatial r; blank frames are left out.

    a, b: (n, height, width). mask: (height, width), pixels that count are non-zero.
    """
    return _mean_of_varying(_pearson(*_masked(a, b, mask), axis=1))


def pearson_per_neuron(a: Array, b: Array) -> Array:
    """Return r over time for each neuron, (n_neuron,) float64.

    a, b: (n_sample, n_neuron). A sample that is NaN in either is left out.
    """
    return _pearson(a, b, axis=0)


class RunningCorrelation:
    """r per neuron between two streams over the newest `window_frames` samples.

    Remembers the window and its sums; an update costs the same however long both are.
    """

    def __init__(self, n_neuron: int, window_frames: int) -> None:
        # n, a, b, aa, bb, ab of each sample: zero where either is NaN.
        self._terms = np.zeros((window_frames, 6, n_neuron))
        self._sums = np.zeros((6, n_neuron))
        self._slot = 0

    def update(self, a: Array, b: Array) -> None:
        """Take one sample of each stream, (n_neuron,); the oldest leaves the window."""
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        terms = np.stack([np.ones_like(a), a, b, a * a, b * b, a * b])
        terms[:, np.isnan(a + b)] = 0
        self._sums += terms - self._terms[self._slot]
        self._terms[self._slot] = terms
        self._slot = (self._slot + 1) % len(self._terms)
        if self._slot == 0:
            # Rounding errors of adding and taking away would grow without bound.
            self._sums = self._terms.sum(axis=0)

    def per_neuron(self) -> Array:
        """Return r of each neuron, (n_neuron,) float64, NaN where there is none."""
        return _from_sums(*self._sums)

    def mean(self) -> float:
        """Return the mean r of the neurons that have one, NaN if none has."""
        return _mean_of_varying(self.per_neuron())


def _mean_of_varying(r: Array) -> float:
    varying = r[~np.isnan(r)]
    return float(varying.mean()) if len(varying) else np.nan


def _masked(a: Array, b: Array, mask: Array | None) -> tuple[Array, Array]:
    """Return both movies as (n, pixels that count)."""
    if a.shape != b.shape:
        raise ValueError(f"movies of different shapes: {a.shape} and {b.shape}")
    counts = np.ones(a.shape[1:], bool) if mask is None else np.asarray(mask) != 0
    return a[:, counts], b[:, counts]


def _pearson(a: Array, b: Array, axis: int | None) -> Array:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    valid = ~np.isnan(a + b)
    a, b = np.where(valid, a, 0), np.where(valid, b, 0)
    terms = (valid, a, b, a * a, b * b, a * b)
    return _from_sums(*[term.sum(axis) for term in terms])


def _from_sums(n: Array, a: Array, b: Array, aa: Array, bb: Array, ab: Array) -> Array:
    """Return r from the number of samples and the sums of a, b, a*a, b*b and a*b."""
    variance_a, variance_b = n * aa - a * a, n * bb - b * b
    # A constant leaves rounding errors about this large, not zero.
    varying = (variance_a > SMALLEST_VARIANCE * n * aa) & (
        variance_b > SMALLEST_VARIANCE * n * bb
    )
    scale = np.sqrt(np.where(varying, variance_a * variance_b, 1))
    return np.where(varying, (n * ab - a * b) / scale, np.nan)
