"""Frames that are no pictures, drawn as a course: one row per value, time to the right.

A sound becomes its spectrogram, low frequencies below; touch one row per whisker and
quantity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtrecon.core.types import Array
from rtrecon.stimulus_space.space import StimulusSpace

_ASPECT = 0.45  # height over width of the image


def make_course(frames: Sequence[Array | None], space: StimulusSpace) -> Array:
    """Return uint8 (rows, frames) of frames, oldest first; unknown ones are black."""
    blank = np.zeros(space.n_values, np.uint8)
    columns = [blank if frame is None else frame.reshape(-1) for frame in frames]
    rows = np.stack(columns, 1)
    if space.axes[0].is_ordered:
        rows = rows[::-1]  # the first position is at the bottom
    repeats = max(1, round(_ASPECT * len(frames) / len(rows)))
    return np.asarray(rows.repeat(repeats, 0))
