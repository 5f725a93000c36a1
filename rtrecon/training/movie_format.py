"""Size and rate of the movies that an encoder is trained on, from a finer recording.

A recording at 60 Hz can be trained on at 60, 30, 20 Hz and so on: pictures and behavior
are averaged over the frames that become one, and activity is summed, as the daemon does
it live. Pictures become smaller by area averaging. Nothing can become finer than it was
recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.card import RATE_UNITS
from rtrecon.session.about import About
from rtrecon.stimulus_space.fit_frame import resize_stimulus
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import describe_size, make_video_space
from rtrecon.training.training_data import Segment

_MAX_RATE_ERROR = 0.01  # share of a rate by which a whole fraction of it may be missed


class MovieRequest(NamedTuple):
    """Size (height, width) and rate that the user asks for; None = as recorded."""

    shape: tuple[int, int] | None = None
    rate_hz: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the movie is trained on as it was recorded."""
        return self.shape is None and self.rate_hz is None


AS_RECORDED = MovieRequest()


@dataclass(frozen=True)
class MovieFormat:
    """How a recording becomes training data.

    space: of the encoder. n_merged: recorded frames that become one. sums_activity:
    whether activity is an amount per frame, and not a rate.
    """

    space: StimulusSpace
    n_merged: int = 1
    sums_activity: bool = True

    def convert(self, segment: Segment) -> Iterator[Segment]:
        """Yield the segment in this format; nothing if it is shorter than one frame."""
        movie = segment.movie
        if self.space.is_picture and movie.shape[1:] != self.space.shape:
            pictures = [resize_stimulus(image, self.space.shape) for image in movie]
            movie = np.stack(pictures)
        if self.n_merged == 1:
            yield Segment(movie, segment.behavior, segment.activity)
        elif len(movie) >= self.n_merged:
            activity = self._merge(segment.activity)
            if self.sums_activity:
                activity = activity * self.n_merged
            behavior = self._merge(segment.behavior)
            yield Segment(self._merge(movie), behavior, activity)

    def _merge(self, values: Array) -> Array:
        """Return means over each `n_merged` frames; NaN where one of them is NaN."""
        n_frames = len(values) // self.n_merged
        whole = np.asarray(values[: n_frames * self.n_merged], np.float32)
        grouped = whole.reshape(n_frames, self.n_merged, *values.shape[1:])
        return np.asarray(grouped.mean(1))


def choose_movie_format(path: Path, about: About, request: MovieRequest) -> MovieFormat:
    """Return the format of a session's training data; UserError if it is impossible."""
    recorded, recorded_hz = about.stimulus_space, about.encoder_rate_hz
    if not recorded.is_picture:
        if not request.is_empty:
            raise UserError(
                f"{path} has a stimulus of {recorded.describe()}; --size and --rate "
                "are for movies: leave them out"
            )
        return MovieFormat(recorded)
    shape, rate_hz = request.shape or recorded.shape, request.rate_hz or recorded_hz
    if any(asked > had for asked, had in zip(shape, recorded.shape, strict=True)):
        raise UserError(
            f"{path} has a stimulus of {describe_size(recorded.shape)} px, which is "
            f"coarser than --size {describe_size(shape).replace(' ', '')}; give this "
            "size or a smaller one, or record a session with encoder.stimulus_size = "
            f"{list(shape)}"
        )
    n_merged = max(1, round(recorded_hz / rate_hz))
    if abs(n_merged * rate_hz - recorded_hz) > _MAX_RATE_ERROR * recorded_hz:
        possible = ", ".join(f"{recorded_hz / n:g}" for n in (1, 2, 3))
        raise UserError(
            f"{path} has {recorded_hz:g} encoder frames per second, which cannot "
            f"become --rate {rate_hz:g}; give {possible} or another whole fraction, or "
            f"record a session with timing.encoder_rate_hz = {rate_hz:g}"
        )
    if (shape, recorded_hz / n_merged) == (recorded.shape, recorded.rate_hz):
        space = recorded
    else:
        space = _make_space(shape, recorded_hz / n_merged)
    is_amount = about.rate_unit in (None, RATE_UNITS)  # dF/F or spikes per frame
    return MovieFormat(space, n_merged, is_amount)


def _make_space(shape: tuple[int, int], rate_hz: float) -> StimulusSpace:
    try:
        return make_video_space(shape, rate_hz)
    except ValueError as error:
        raise UserError(str(error)) from None
