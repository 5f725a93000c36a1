"""Chooses the frame of the reconstruction to show now, and the stimulus beside it.

Frames arrive in bursts, one burst per hop of the inversion. The playback spreads each
burst evenly over the time until the next one, so that the movie moves as it moved for
the mouse. The inversion refines each frame with every hop: a frame is provisional
first, and final when it is old enough. The user may look at newer (provisional) frames,
or at any frame of the last minutes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rtrecon.core.types import Array
from rtrecon.display.ring_buffers import ImageRing
from rtrecon.protocol.messages import AlignedStimulus, Movie
from rtrecon.stimulus_space.course import make_course
from rtrecon.stimulus_space.video import VIDEO

ENCODER_RATE_HZ = 30.0  # encoder frames per second of the experiment
HISTORY_S = 180.0  # how far back the user can look
MAX_FRAMES = int(HISTORY_S * ENCODER_RATE_HZ)
MAX_BYTES = 64 * 2**20  # of the movie; the stimuli may take as much again
MAX_HOP_S = 1.0  # a longer silence is a stall, not the pace of the movie
COURSE_S = 3.0  # of a stimulus that is no picture, before the frame that is shown
MAX_BACKLOG_S = 2.0  # when more is pending, jump to the newest


@dataclass(frozen=True)
class Moment:
    """One encoder frame: the reconstruction and, where known, the stimulus.

    age_s: time since the activity of this frame was recorded. reconstruction,
    stimulus: uint8 (height, width). information_fraction: 0..1, see `Movie`.
    """

    index: int
    is_final: bool
    age_s: float
    reconstruction: Array
    stimulus: Array | None
    information_fraction: float = 1.0


@dataclass(frozen=True)
class Span:
    """The stored encoder frames: final up to `final`, provisional after it."""

    oldest: int
    final: int
    newest: int
    hop: int  # frames per message
    n_bytes: int
    rate_hz: float = ENCODER_RATE_HZ

    @property
    def n_provisional(self) -> int:
        """Number of frames that are not final yet."""
        return self.newest - self.final


class Playback:
    """The last minutes of movie and stimuli, limited in frames and in bytes."""

    def __init__(self) -> None:
        self.space = VIDEO
        self._frames = ImageRing(MAX_FRAMES, MAX_BYTES)
        self._stimuli = ImageRing(MAX_FRAMES, MAX_BYTES)
        self._information: dict[int, float] = {}  # frames below 1 only
        self._newest: Movie | None = None
        self._position = -math.inf  # encoder frames; moves towards the newest frame
        self._pace_hz = ENCODER_RATE_HZ
        self._received_s = 0.0
        self._advanced_s = 0.0

    def add_stimulus(self, message: AlignedStimulus, image: Array) -> None:
        """Store the stimulus of an encoder frame."""
        self._stimuli.put(message.encoder_frame, image)

    def add_movie(self, movie: Movie, frames: Array, now_s: float) -> None:
        """Store one hop of the inversion; frames: uint8 (n, height, width)."""
        if (
            self._newest is not None
            and movie.encoder_frame <= self._newest.encoder_frame
        ):
            # The daemon has restarted its count.
            self._frames = self._make_ring()
            self._information = {}
        space = movie.stimulus_space or VIDEO
        if space != self.space:
            self.space = space
            self._frames, self._stimuli = self._make_ring(), self._make_ring()
        first = movie.encoder_frame - len(frames) + 1
        for i, frame in enumerate(frames):
            self._frames.put(first + i, frame)
        self._store_information(first, movie.information_fraction or [])
        self._advance(now_s)
        self._set_pace(movie.encoder_frame, now_s)
        self._newest = movie
        self._received_s = now_s

    @property
    def span(self) -> Span | None:
        """The stored frames; None before the first movie message."""
        if self._newest is None:
            return None
        movie = self._newest
        return Span(
            oldest=self._frames.oldest_index,
            final=_last_final_index(movie),
            newest=movie.encoder_frame,
            hop=max(1, movie.n_final),
            n_bytes=self._frames.n_bytes + self._stimuli.n_bytes,
            rate_hz=self.space.rate_hz,
        )

    def moment_now(self, now_s: float, lag_frames: int | None = None) -> Moment | None:
        """Return the frame due now, `lag_frames` behind the newest; None = final.

        Before any frame is final, returns the oldest provisional frame. Returns None
        before the first movie message.
        """
        if self._newest is None:
            return None
        self._advance(now_s)
        n_provisional = self._newest.encoder_frame - _last_final_index(self._newest)
        lag = n_provisional if lag_frames is None else min(lag_frames, n_provisional)
        index = max(int(self._position) - lag, self._frames.oldest_index)
        return self.moment_at(index, now_s)

    def moment_at(self, index: int, now_s: float) -> Moment | None:
        """Return frame `index`, or a frame just before it; None if neither is there."""
        found = self._frames.find_near(index)
        if found is None or self._newest is None:
            return None
        index, image = found
        stimulus = self._stimuli.find_near(index)
        frames_since_final = _last_final_index(self._newest) - index
        since_message_s = now_s - self._received_s
        age_s = (
            self._newest.lag_s
            + since_message_s
            + frames_since_final / self.space.rate_hz
        )
        return Moment(
            index=index,
            is_final=frames_since_final >= 0,
            age_s=max(age_s, 0.0),
            reconstruction=image,
            stimulus=None if stimulus is None else stimulus[1],
            information_fraction=self._information.get(index, 1.0),
        )

    def make_courses(self, last: int) -> tuple[Array, Array]:
        """Return reconstruction and stimulus up to a frame, as `make_course` draws."""
        indices = range(last + 1 - round(COURSE_S * self.space.rate_hz), last + 1)
        movie, stimulus = (
            make_course([ring.find_frame(index) for index in indices], self.space)
            for ring in (self._frames, self._stimuli)
        )
        return movie, stimulus

    def _make_ring(self) -> ImageRing:
        return ImageRing(int(HISTORY_S * self.space.rate_hz), MAX_BYTES)

    def frame_pairs(
        self, first: int, last: int
    ) -> Iterator[tuple[Array, Array | None]]:
        """Yield (reconstruction, stimulus) of the frames from `first` to `last`."""
        for index in range(first, last + 1):
            moment = self.moment_at(index, 0.0)
            if moment is not None:
                yield moment.reconstruction, moment.stimulus

    def _store_information(self, first: int, fractions: list[float]) -> None:
        """Store the fractions below 1, of frames that are still stored."""
        for index, fraction in enumerate(fractions, first):
            self._information.pop(index, None)
            if fraction < 1:
                self._information[index] = fraction
        while self._information:
            oldest = next(iter(self._information))
            if oldest >= self._frames.oldest_index:
                break
            del self._information[oldest]

    def _set_pace(self, newest: int, now_s: float) -> None:
        """Set the pace so that the new frames last until the next hop."""
        max_backlog = round(MAX_BACKLOG_S * self.space.rate_hz)
        if not self._position <= newest <= self._position + max_backlog:
            self._position = float(newest)
        hop_s = min(max(now_s - self._received_s, 1 / self.space.rate_hz), MAX_HOP_S)
        self._pace_hz = (newest - self._position) / hop_s

    def _advance(self, now_s: float) -> None:
        if self._newest is not None:
            step = self._pace_hz * (now_s - self._advanced_s)
            self._position = min(
                self._position + step, float(self._newest.encoder_frame)
            )
        self._advanced_s = now_s


def _last_final_index(movie: Movie) -> int:
    return movie.encoder_frame - movie.shape[0] + movie.n_final
