"""Correlations between two movies, or two recordings of the same neurons; numpy only.

Every correlation is Pearson's r, and NaN where one side does not vary.
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
    return mean_of_defined(_pearson(*_masked(a, b, mask), axis=1))


def neuron_correlations(a: Array, b: Array) -> Array:
    """Return r over time for each neuron, (n_neuron,) float64.

    a, b: (n_sample, n_neuron). A sample that is NaN in either is left out.
    """
    return _pearson(a, b, axis=0)


def mean_of_defined(r: Array) -> float:
    """Return the mean of the values that are not NaN; NaN if there are none."""
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
    return correlation_from_sums(*[term.sum(axis) for term in terms])


def correlation_from_sums(
    n: Array, a: Array, b: Array, aa: Array, bb: Array, ab: Array
) -> Array:
    """Return r from the number of samples and the sums of a, b, a*a, b*b and a*b."""
    variance_a, variance_b = n * aa - a * a, n * bb - b * b
    # A constant leaves rounding errors about this large, not zero.
    varying = (variance_a > SMALLEST_VARIANCE * n * aa) & (
        variance_b > SMALLEST_VARIANCE * n * bb
    )
    scale = np.sqrt(np.where(varying, variance_a * variance_b, 1))
    return np.where(varying, (n * ab - a * b) / scale, np.nan)
