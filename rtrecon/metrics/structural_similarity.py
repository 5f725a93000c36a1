"""Structural similarity of frames (SSIM; Wang, Bovik, Sheikh & Simoncelli 2004).

Local means, contrasts and the correlation of two images are compared in a Gaussian
window of 11 x 11 px, s.d. 1.5 px. Unlike a correlation, the score falls if brightness
or contrast are wrong.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.evidence import MetricSetup
from rtrecon.metrics.similarity import mean_of_defined
from rtrecon.metrics.stimulus_metric import FrameMean

SIGMA_PX, REACH_PX = 1.5, 5
_MAX_GRAY = 255.0
# Constants of the paper; they keep the quotients finite.
_LUMINANCE, _CONTRAST = (0.01 * _MAX_GRAY) ** 2, (0.03 * _MAX_GRAY) ** 2


class StructuralSimilarity:
    """Mean structural similarity over frames and windows where the neurons look."""

    def __init__(self, setup: MetricSetup) -> None:
        self._visual_field = setup.visual_field
        self._mean = FrameMean(setup.window_frames)

    def add_frames(self, movie: Array, stimulus: Array, *, is_continued: bool) -> None:
        """Add frames (k, height, width)."""
        self._mean.add_scores(frame_similarities(movie, stimulus, self._visual_field))

    def value(self) -> float:
        """Return the mean over frames; NaN if no window lies there."""
        return self._mean.mean()


def structural_similarity(
    a: Array, b: Array, visual_field: Array | None = None
) -> float:
    """Return the mean structural similarity over frames (n, height, width)."""
    return mean_of_defined(frame_similarities(a, b, visual_field))


def frame_similarities(a: Array, b: Array, visual_field: Array | None = None) -> Array:
    """Return the structural similarity of each frame, (n,), -1..1.

    a, b: (n, height, width) of gray levels 0..255, sides of 11 px or more. Only windows
    that lie inside the image count, and of these the ones centred in the visual field,
    bool (height, width); NaN if there are none.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = _average_windows(a), _average_windows(b)
    variance_a = _average_windows(a * a) - mean_a**2
    variance_b = _average_windows(b * b) - mean_b**2
    both = _average_windows(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _LUMINANCE) / (
        mean_a**2 + mean_b**2 + _LUMINANCE
    )
    structure = (2 * both + _CONTRAST) / (variance_a + variance_b + _CONTRAST)
    similarity = luminance * structure
    if visual_field is None:
        return np.asarray(similarity.mean((1, 2)))
    inside = visual_field[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
    if not inside.any():
        return np.full(len(a), np.nan)
    return np.asarray(similarity[:, inside].mean(1))


def _average_windows(frames: Array) -> Array:
    """Return the weighted mean of each whole window, (n, height - 10, width - 10)."""
    rows, columns = (_make_window_weights(side) for side in frames.shape[1:])
    averaged: Array = rows @ (frames @ columns.T)
    return averaged


@lru_cache(maxsize=8)
def _make_window_weights(n: int) -> Array:
    """Return (n - 10, n): the Gaussian window at every position where it fits."""
    offsets = np.arange(-REACH_PX, REACH_PX + 1)
    window = np.exp(-(offsets**2) / (2 * SIGMA_PX**2))
    window /= window.sum()
    weights = np.zeros((n - 2 * REACH_PX, n))
    for row in range(len(weights)):
        weights[row, row : row + len(window)] = window
    return weights
