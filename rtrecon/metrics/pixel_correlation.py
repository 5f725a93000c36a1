"""Pearson's r of movie and stimulus over pixels and frames, and of their changes."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.evidence import MetricSetup
from rtrecon.metrics.running_correlation import RunningVideoCorrelation
from rtrecon.metrics.visual_field import take_pixels


class ScreenCorrelation:
    """r over all pixels of the screen."""

    def __init__(self, setup: MetricSetup) -> None:
        self._running = RunningVideoCorrelation(setup.window_frames)

    def add_frames(self, movie: Array, stimulus: Array, *, is_continued: bool) -> None:
        """Add frames (k, height, width)."""
        self._running.add_frames(movie, stimulus)

    def value(self) -> float:
        """Return r, NaN if one movie is constant."""
        return self._running.correlation()


class VisualFieldCorrelation:
    """r over the pixels where the neurons look."""

    def __init__(self, setup: MetricSetup) -> None:
        self._pixels = setup.visual_field_pixels
        self._running = RunningVideoCorrelation(setup.window_frames)

    def add_frames(self, movie: Array, stimulus: Array, *, is_continued: bool) -> None:
        """Add frames (k, height, width)."""
        self._running.add_frames(
            take_pixels(movie, self._pixels), take_pixels(stimulus, self._pixels)
        )

    def value(self) -> float:
        """Return r, NaN if one movie is constant."""
        return self._running.correlation()


class MotionCorrelation:
    """r of the differences between neighbouring frames, where the neurons look.

    What stands still does not count.
    """

    def __init__(self, setup: MetricSetup) -> None:
        self._pixels = setup.visual_field_pixels
        self._running = RunningVideoCorrelation(setup.window_frames)
        self._last: tuple[Array, Array] | None = None

    def add_frames(self, movie: Array, stimulus: Array, *, is_continued: bool) -> None:
        """Add frames (k, height, width)."""
        pair = take_pixels(movie, self._pixels), take_pixels(stimulus, self._pixels)
        if is_continued and self._last is not None:
            previous = self._last
            differences = [
                np.diff(frames, axis=0, prepend=last)
                for frames, last in zip(pair, previous, strict=True)
            ]
        else:
            differences = [np.diff(frames, axis=0) for frames in pair]
        if len(differences[0]):
            self._running.add_frames(*differences)
        self._last = pair[0][-1:], pair[1][-1:]

    def value(self) -> float:
        """Return r, NaN if one movie stands still."""
        return self._running.correlation()
