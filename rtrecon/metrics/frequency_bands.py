"""Pearson's r of movie and stimulus by band of spatial or temporal frequency.

Coarse structure dominates the correlation of pixels. Bands show whether details, or
fast changes, were recovered as well.
"""

from __future__ import annotations

import math

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.cosine_transform import cosine_frequencies, make_cosines
from rtrecon.metrics.evidence import MetricSetup
from rtrecon.metrics.running_correlation import RunningVideoCorrelation
from rtrecon.metrics.visual_field import take_pixels

Band = tuple[float, float]  # lower edge, which belongs to the band, and upper edge
SPATIAL_BANDS: dict[str, Band] = {  # cycles per px; the encoder sees nothing above
    "low": (0.0, 0.03),
    "middle": (0.03, 0.08),
    "high": (0.08, 0.25),
}
TEMPORAL_BANDS: dict[str, Band] = {  # Hz
    "low": (0.0, 1.0),
    "middle": (1.0, 4.0),
    "high": (4.0, math.inf),
}
SEGMENT_S = 2.0  # transformed at once, so that rows are 1/4 Hz apart
_MIN_SD = 0.01  # gray levels in a band; less is the rounding error of a constant movie


class SpatialBandCorrelation:
    """r of frames that keep one band of spatial frequencies, where the neurons look.

    Frequencies are those of the cosine transform of the frame; the band's edges are
    sharp.
    """

    def __init__(self, setup: MetricSetup, band: Band) -> None:
        height, width = setup.visual_field.shape
        self._pixels = setup.visual_field_pixels
        self._rows, self._columns = make_cosines(height), make_cosines(width)
        frequency = np.hypot(
            cosine_frequencies(height)[:, None], cosine_frequencies(width)
        )
        self._gain = _select_band(frequency, band).astype(np.float32)
        self._running = RunningVideoCorrelation(setup.window_frames, _MIN_SD)

    def add_frames(self, movie: Array, stimulus: Array, *, is_continued: bool) -> None:
        """Add frames (k, height, width)."""
        self._running.add_frames(self._filter(movie), self._filter(stimulus))

    def value(self) -> float:
        """Return r, NaN if one movie is constant in the band."""
        return self._running.correlation()

    def _filter(self, frames: Array) -> Array:
        """Return the visual field's pixels (k, n) of frames that keep the band."""
        spectrum = (self._rows @ (frames @ self._columns.T)) * self._gain
        filtered: Array = self._rows.T @ (spectrum @ self._columns)
        return take_pixels(filtered, self._pixels)


class TemporalBandCorrelation:
    """r of one band of temporal frequencies, where the neurons look.

    Segments of `SEGMENT_S` are transformed along time; a gap begins a new one. The
    lowest band also holds what stands still.
    """

    def __init__(self, setup: MetricSetup, band: Band) -> None:
        self._pixels = setup.visual_field_pixels
        self._segment_frames = count = max(1, round(SEGMENT_S * setup.rate_hz))
        hz = cosine_frequencies(count) * setup.rate_hz
        cosines = make_cosines(count)[_select_band(hz, band)]
        self._filter = cosines.T @ cosines  # (frames, frames)
        n_pixels = len(self._pixels)
        self._segment = np.zeros((2, count, n_pixels), np.float32)
        self._n_frames = 0  # of the segment that is being filled
        n_segments = max(1, setup.window_frames // count)
        self._running = RunningVideoCorrelation(n_segments * count, _MIN_SD)

    def add_frames(self, movie: Array, stimulus: Array, *, is_continued: bool) -> None:
        """Add frames (k, height, width)."""
        if not is_continued:
            self._n_frames = 0
        pair = np.stack(
            [take_pixels(movie, self._pixels), take_pixels(stimulus, self._pixels)]
        )
        while pair.shape[1]:
            taken = pair[:, : self._segment_frames - self._n_frames]
            stop = self._n_frames + taken.shape[1]
            self._segment[:, self._n_frames : stop] = taken
            pair = pair[:, taken.shape[1] :]
            self._n_frames = stop % self._segment_frames
            if stop == self._segment_frames:
                self._running.add_frames(*(self._filter @ self._segment))

    def value(self) -> float:
        """Return r, NaN before the first segment and if one band is constant."""
        return self._running.correlation()


def _select_band(frequency: Array, band: Band) -> Array:
    return np.asarray((frequency >= band[0]) & (frequency < band[1]))
