"""How often the movie's own stimulus is recognised among others.

Movie and stimulus are cut into segments of a second. A segment of the movie is
recognised if it correlates more with its own stimulus than with every other one.
Identification is easier than reconstruction: a blurred movie can be recognised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.evidence import MetricSetup
from rtrecon.metrics.similarity import mean_of_defined

SEGMENT_S = 1.0
BLOCK_PX = 2  # pixels are averaged in blocks of 2 x 2
_MAX_EQUAL = 0.99  # stimuli that correlate more are the same movie, shown twice
_MIN_SD = 1e-3  # gray levels; less is the rounding error of a blank frame


@dataclass(frozen=True)
class Identification:
    """Of each segment: whether it is recognised, and by how many others it is beaten.

    recognised: (n,) 1 if its own stimulus correlates most, else 0. pairwise: (n,) share
    of the others that correlate less. NaN where movie or stimulus stand still in it, or
    there is no other stimulus. Chance is 1 / n and 1 / 2.
    """

    recognised: Array
    pairwise: Array


class IdentificationScore:
    """Share of the newest segments that are recognised among all of them.

    There is no value before the window is full, so that chance is always the same.
    """

    def __init__(self, setup: MetricSetup) -> None:
        block = BLOCK_PX if setup.is_picture else 1
        self._normalizer = SegmentNormalizer(setup.visual_field, block)
        self._segment_frames = max(1, round(SEGMENT_S * setup.rate_hz))
        self._n_segments = max(2, setup.window_frames // self._segment_frames)
        self._segments: list[tuple[Array, Array]] = []  # movie, stimulus
        self._pending: list[tuple[Array, Array]] = []  # of the segment being filled
        self._found: Identification | None = None

    def add_frames(self, movie: Array, stimulus: Array, *, is_continued: bool) -> None:
        """Add frames (k, height, width)."""
        if not is_continued:
            self._pending.clear()
        normalize = self._normalizer.normalize_frames
        self._pending += zip(normalize(movie), normalize(stimulus), strict=True)
        while len(self._pending) >= self._segment_frames:
            frames = zip(*self._pending[: self._segment_frames], strict=True)
            del self._pending[: self._segment_frames]
            movie_segment, stimulus_segment = (np.stack(part) for part in frames)
            self._segments.append((movie_segment, stimulus_segment))
            self._found = None
        del self._segments[: -self._n_segments]

    def identify(self) -> Identification | None:
        """Return the result for each segment; None before the window is full."""
        if len(self._segments) < self._n_segments:
            return None
        if self._found is None:
            movie, stimulus = map(np.stack, zip(*self._segments, strict=True))
            self._found = identify_segments(movie, stimulus)
        return self._found

    def value(self) -> float:
        """Return the share of recognised segments; NaN if it is not known."""
        found = self.identify()
        return np.nan if found is None else mean_of_defined(found.recognised)


class PairwiseIdentificationScore(IdentificationScore):
    """Share of pairs of segments in which the own stimulus correlates more."""

    def value(self) -> float:
        """Return the share; NaN if it is not known."""
        found = self.identify()
        return np.nan if found is None else mean_of_defined(found.pairwise)


class SegmentNormalizer:
    """Removes what must not identify a frame: its brightness and its contrast.

    visual_field: (height, width) bool; only blocks of `block_px` x `block_px` values
    that lie mostly inside it count.
    """

    def __init__(self, visual_field: Array, block_px: int = BLOCK_PX) -> None:
        self._block_px = block_px
        inside = _average_blocks(visual_field[None].astype(np.float32), block_px)[0]
        self._blocks = inside >= 0.5
        self.n_blocks = int(self._blocks.sum())

    def normalize_frames(self, frames: Array) -> Array:
        """Return float32 (k, blocks): frames of mean 0 and s.d. 1; blank ones are 0."""
        averaged = _average_blocks(np.asarray(frames, np.float32), self._block_px)
        blocks = averaged[:, self._blocks]
        if not blocks.shape[1]:
            return blocks
        blocks = blocks - blocks.mean(1, keepdims=True)
        sd = blocks.std(1, keepdims=True)
        return np.where(sd > _MIN_SD, blocks / np.maximum(sd, _MIN_SD), 0)


def identify_segments(movie: Array, stimulus: Array) -> Identification:
    """Recognise each segment of the movie among the stimuli of all segments.

    movie, stimulus: (n, frames, blocks) normalised by frame. Of each block, the mean
    over all segments is removed before they are correlated, so that what never changes
    identifies nothing.
    """
    n = len(movie)
    made, shown = _normalize_over_time(movie), _normalize_over_time(stimulus)
    r = made @ shown.T  # (movie, stimulus)
    is_other = (shown @ shown.T < _MAX_EQUAL) & shown.any(1)
    own = np.diag(r)[:, None]
    n_others = is_other.sum(1)
    counts = (n_others > 0) & made.any(1) & shown.any(1)
    beaten = (is_other & (r < own)).sum(1) + 0.5 * (is_other & (r == own)).sum(1)
    pairwise, recognised = np.full((2, n), np.nan)
    pairwise[counts] = beaten[counts] / n_others[counts]
    recognised[counts] = (beaten == n_others)[counts]
    return Identification(recognised, pairwise)


def _normalize_over_time(segments: Array) -> Array:
    """Return (n, frames * blocks): segments of norm 1, or 0 where nothing changes."""
    changes = segments - segments.mean((0, 1))
    flat = changes.reshape(len(segments), -1)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    smallest = _MIN_SD * np.sqrt(max(1, flat.shape[1]))
    return np.where(norm > smallest, flat / np.maximum(norm, smallest), 0)


def _average_blocks(frames: Array, side_px: int) -> Array:
    """Return means of blocks; rows and columns that fill no whole one are left out."""
    rows, columns = (side // side_px * side_px for side in frames.shape[1:])
    parts = [
        frames[:, y:rows:side_px, x:columns:side_px]
        for y in range(side_px)
        for x in range(side_px)
    ]
    return np.asarray(sum(parts) / len(parts))
