"""Frames that are no pictures, drawn as a course: time goes to the right.

A sound becomes its spectrogram, low frequencies below. Values without an order, such as
whiskers, become a line each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtrecon.core.types import Array
from rtrecon.stimulus_space.space import MIDDLE_LEVEL, StimulusSpace

_ASPECT = 0.45  # height over width of the image
_LINE_PX = 16  # between the middles of two lines
_REACH_PX = 16  # of the largest level from the middle; a line may cross its neighbour
_BRIGHTEST = 255  # gray of the first value of a position; each further one has half


def make_course(frames: Sequence[Array | None], space: StimulusSpace) -> Array:
    """Return a uint8 image of frames, oldest first; an unknown one is black."""
    if space.axes[0].is_ordered:
        return _draw_rows(frames, space)
    return _draw_lines(frames, space)


def _draw_rows(frames: Sequence[Array | None], space: StimulusSpace) -> Array:
    """Return (rows, frames): a row for each value, the first at the bottom."""
    blank = np.zeros(space.n_values, np.uint8)
    columns = [blank if frame is None else frame.reshape(-1) for frame in frames]
    rows = np.stack(columns, 1)[::-1]
    repeats = max(1, round(_ASPECT * len(frames) / len(rows)))
    return np.asarray(rows.repeat(repeats, 0))


def _draw_lines(frames: Sequence[Array | None], space: StimulusSpace) -> Array:
    """Return (height, width): a line for each position, the first at the top.

    Further values of a position are darker lines behind the first one.
    """
    n_positions, n_values = space.shape
    height = _LINE_PX * (n_positions - 1) + 2 * _REACH_PX + 1
    image = np.zeros((height, len(frames)), np.uint8)
    unknown = np.full(space.shape, np.nan)
    levels = np.stack([unknown if frame is None else frame for frame in frames])
    offsets_px = _REACH_PX * (MIDDLE_LEVEL - levels) / MIDDLE_LEVEL
    for value in reversed(range(n_values)):
        gray = np.uint8(_BRIGHTEST >> value)
        for position in range(n_positions):
            band = image[_LINE_PX * position :][: 2 * _REACH_PX + 1]
            band[_find_line(offsets_px[:, position, value])] = gray
    repeats = max(1, round(height / _ASPECT / len(frames)))
    return np.asarray(image.repeat(repeats, 1))


def _find_line(offsets_px: Array) -> Array:
    """Return bool (2 * _REACH_PX + 1, T): where a line through these offsets lies.

    offsets_px: (T,), downwards from the middle. Pixels between an offset and the one
    before belong to the line, so that it has no gap.
    """
    before = np.concatenate([offsets_px[:1], offsets_px[:-1]])
    rows = np.arange(-_REACH_PX, _REACH_PX + 1)[:, None]
    top = np.rint(np.fmin(before, offsets_px))
    bottom = np.rint(np.fmax(before, offsets_px))
    is_known = ~np.isnan(offsets_px)
    return np.asarray((rows >= top) & (rows <= bottom) & is_known)
