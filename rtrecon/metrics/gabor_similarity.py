"""Correlation of what model cells of primary visual cortex answer to two frames.

A pyramid of Gabor filters stands for complex cells: the energy of an even and an odd
filter at each position, orientation and spatial frequency (Adelson & Bergen 1985).
Filters of this kind predict which natural scenes mice confuse better than structural
similarity does (Yu et al., Scientific Reports 8:1379, 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.evidence import MetricSetup
from rtrecon.metrics.similarity import correlation_from_sums
from rtrecon.metrics.stimulus_metric import FrameMean

FREQUENCIES = (0.05, 0.1, 0.2)  # cycles per px, an octave apart
N_ORIENTATIONS = 4
SIGMA_PERIODS = 0.5  # s.d. of the envelope, in periods of the filter's wave
_MIN_SD = 1e-3  # gray levels; less is the rounding error of a blank frame


class GaborSimilarity:
    """Mean over frames of r between the model cells' answers, where the neurons look.

    A frame without contrast has no answer and is left out.
    """

    def __init__(self, setup: MetricSetup) -> None:
        self._pyramid = GaborPyramid(setup.visual_field)
        self._mean = FrameMean(setup.window_frames)

    def add_frames(self, movie: Array, stimulus: Array, *, is_continued: bool) -> None:
        """Add frames (k, height, width)."""
        a, b = (self._pyramid.respond(frames) for frames in (movie, stimulus))
        n, scores = a.shape[1], np.full(len(a), np.nan)
        varies = (a.std(1) > _MIN_SD) & (b.std(1) > _MIN_SD)
        a, b = a[varies].astype(np.float64), b[varies].astype(np.float64)
        sums = (np.full(len(a), n), a.sum(1), b.sum(1))
        squares = ((a * a).sum(1), (b * b).sum(1), (a * b).sum(1))
        scores[varies] = correlation_from_sums(*sums, *squares)
        self._mean.add_scores(scores)

    def value(self) -> float:
        """Return the mean r; NaN if no frame has one."""
        return self._mean.mean()


class GaborPyramid:
    """Energy filters on grids whose spacing is the envelope's standard deviation.

    visual_field: (height, width) bool; filters centred elsewhere are left out. The part
    of a filter outside the screen sees the frame's mean.
    """

    def __init__(self, visual_field: Array) -> None:
        self._visual_field = np.asarray(visual_field, bool)
        self._levels = [_make_level(self._visual_field, f) for f in FREQUENCIES]
        self.n_responses = N_ORIENTATIONS * sum(
            len(level.chosen) for level in self._levels
        )

    def respond(self, frames: Array) -> Array:
        """Return the responses float32 (k, n_responses) to frames (k, height, width).

        In gray levels: the amplitude of a grating that drives the filter best.
        """
        mean = frames.mean((1, 2), keepdims=True, dtype=np.float64)
        centred = (frames - mean).astype(np.float32)
        parts = [
            level.respond(centred, orientation)
            for level in self._levels
            for orientation in range(N_ORIENTATIONS)
        ]
        return np.concatenate(parts, 1)


@dataclass(frozen=True)
class _Level:
    """One spatial frequency. A Gabor filter is the product of one along each axis.

    rows: (orientations, ny, height) complex. columns: (orientations, width, 2 nx), real
    parts first. chosen: flat indices of the grid's positions in the visual field.
    """

    rows: Array
    columns: Array
    chosen: Array

    def respond(self, frames: Array, orientation: int) -> Array:
        along_x = frames @ self.columns[orientation]
        n = along_x.shape[-1] // 2
        waves = along_x[..., :n] + np.complex64(1j) * along_x[..., n:]
        response = self.rows[orientation] @ waves
        return np.abs(response).reshape(len(frames), -1)[:, self.chosen]


def _make_level(visual_field: Array, cycles_per_px: float) -> _Level:
    sigma_px = SIGMA_PERIODS / cycles_per_px
    y, x = (_place_grid(side, sigma_px) for side in visual_field.shape)
    angles = np.pi * np.arange(N_ORIENTATIONS) / N_ORIENTATIONS
    rows, columns = [], []
    for angle in angles.tolist():
        frequency_y = cycles_per_px * np.sin(angle)
        frequency_x = cycles_per_px * np.cos(angle)
        rows.append(_make_waves(visual_field.shape[0], y, sigma_px, frequency_y))
        waves = _make_waves(visual_field.shape[1], x, sigma_px, frequency_x).T
        columns.append(np.concatenate([waves.real, waves.imag], 1))
    inside = visual_field[np.ix_(np.rint(y).astype(int), np.rint(x).astype(int))]
    return _Level(
        2 * np.stack(rows).astype(np.complex64),
        np.stack(columns).astype(np.float32),
        np.flatnonzero(inside),
    )


def _place_grid(n: int, spacing: float) -> Array:
    """Return centres of filters along a side of n px, about a spacing apart."""
    count = max(1, round(n / spacing))
    return (np.arange(count) + 0.5) * n / count - 0.5


def _make_waves(n: int, centers: Array, sigma_px: float, frequency: float) -> Array:
    """Return (centers, n) complex: Gaussian envelopes of sum 1 times a wave."""
    distance = np.arange(n) - centers[:, None]
    envelope = np.exp(-(distance**2) / (2 * sigma_px**2))
    envelope /= sigma_px * np.sqrt(2 * np.pi)
    return np.asarray(envelope * np.exp(2j * np.pi * frequency * distance))
