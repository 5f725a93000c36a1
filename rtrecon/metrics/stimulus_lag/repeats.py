"""Whether neurons answer alike when the same clip is shown again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array

WINDOW_S = 1.0  # so many seconds must be equal, frame by frame
_MULTIPLIER = np.uint64(6364136223846793005)


@dataclass(frozen=True)
class RepeatAgreement:
    """r: median over neurons of the correlation between first and later showings.

    seconds: how long the repeated stimulus lasted in total.
    """

    r: float
    seconds: float


def measure_repeat_agreement(
    frame_ids: Array, activity: Array, rate_hz: float
) -> RepeatAgreement | None:
    """Compare responses to equal stretches of stimulus; None if nothing is repeated.

    frame_ids: (T,) uint64, equal where the pictures are equal, 0 where unknown.
    activity: (T, n), standardized, 0 where unknown.
    """
    first, again = find_repeats(frame_ids, round(WINDOW_S * rate_hz))
    if not len(first):
        return None
    a, b = activity[first], activity[again]
    a, b = a - a.mean(0), b - b.mean(0)
    variance = np.square(a).sum(0) * np.square(b).sum(0)
    is_active = variance > 0
    if not is_active.any():
        return None
    r = (a * b).sum(0)[is_active] / np.sqrt(variance[is_active])
    return RepeatAgreement(float(np.median(r)), len(first) / rate_hz)


def find_repeats(frame_ids: Array, window: int) -> tuple[Array, Array]:
    """Return frames of first showings, and the same frames shown again later.

    A screen that stands still for a whole window is no clip and is left out.
    """
    if len(frame_ids) < window:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    frames = np.lib.stride_tricks.sliding_window_view(frame_ids, window)
    is_clip = (frames != 0).all(1) & (frames != frames[:, :1]).any(1)
    starts = np.flatnonzero(is_clip)
    _, first, inverse = np.unique(
        _hash_windows(frame_ids, window)[starts], return_index=True, return_inverse=True
    )
    original = starts[first][inverse]
    is_repeat = original != starts
    return original[is_repeat], starts[is_repeat]


def hash_frames(movie: Array) -> Array:
    """Return (T,) uint64, equal for equal pictures of a uint8 movie (T, ...)."""
    flat = movie.reshape(len(movie), -1).astype(np.uint64) + np.uint64(1)
    factors = np.cumprod(np.full(flat.shape[1], _MULTIPLIER))
    return flat @ factors


def _hash_windows(frame_ids: Array, window: int) -> Array:
    """Return a number per window, equal for equal windows; uint64 wraps around."""
    total = np.zeros(len(frame_ids) - window + 1, np.uint64)
    for offset in range(window):
        total = total * _MULTIPLIER + frame_ids[offset : offset + len(total)]
    return total
