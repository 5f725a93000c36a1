"""Which frame of the reconstruction to show now, and the stimulus that belongs to it.

Frames arrive in bursts, one per hop of the inversion. They are played out evenly, so
that the movie moves as it moved for the mouse, one hop later than it could be shown.
Each frame is first provisional, refined by every hop, and final once it is old enough;
what is shown may be as young or as settled as somebody likes, or minutes old.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rtrecon.core.types import Array
from rtrecon.protocol.messages import Movie, Seen

RATE_HZ = 30.0  # encoder frames per second of the experiment
HISTORY_S = 180.0  # how far back one can look
MOST_BYTES = (
    64 * 2**20
)  # of movie, and as much of stimuli; larger frames, fewer of them
MOST_FRAMES = int(HISTORY_S * RATE_HZ)
LONGEST_HOP_S = 1.0  # a longer silence is a stall, not the pace of the movie
LARGEST_BACKLOG = 60  # frames; older ones are skipped, the newest win
NEARBY_FRAMES = 3  # how far back to look for a frame that went missing


@dataclass(frozen=True)
class Moment:
    """One encoder frame: what was reconstructed and, where known, what was shown.

    age_s: how long ago the mouse's activity was recorded. reconstruction, stimulus:
    uint8 (height, width). told: 0..1, how much of it activity tells; see `Movie`.
    """

    index: int
    final: bool
    age_s: float
    reconstruction: Array
    stimulus: Array | None
    told: float = 1.0


@dataclass(frozen=True)
class Span:
    """What is kept, in encoder frames: final until `final`, provisional from there."""

    oldest: int
    final: int
    newest: int
    hop: int  # frames that come at a time
    bytes: int

    @property
    def provisional(self) -> int:
        """How many frames are not final yet."""
        return self.newest - self.final


class Playback:
    """The last minutes of movie and stimuli, bounded in frames and in bytes."""

    def __init__(self) -> None:
        self._frames = _Ring()
        self._stimuli = _Ring()
        self._told: dict[int, float] = {}  # of the frames of which it is not all
        self._newest: Movie | None = None
        self._head = -math.inf  # plays towards the newest frame, in encoder frames
        self._pace_hz = RATE_HZ
        self._arrived_s = 0.0
        self._advanced_s = 0.0

    def see(self, seen: Seen, image: Array) -> None:
        """Remember the stimulus at an encoder frame."""
        self._stimuli.put(seen.index, image)

    def add(self, movie: Movie, frames: Array, now_s: float) -> None:
        """Take one hop of the inversion, frames uint8 (n, height, width)."""
        if self._newest is not None and movie.index <= self._newest.index:
            # The daemon counts from the start again.
            self._frames, self._told = _Ring(), {}
        first = movie.index - len(frames) + 1
        for i, frame in enumerate(frames):
            self._frames.put(first + i, frame)
        self._learn(first, movie.information_fraction or [])
        self._advance(now_s)
        self._aim(movie.index, now_s)
        self._newest = movie
        self._arrived_s = now_s

    @property
    def span(self) -> Span | None:
        """What is kept; None before any movie."""
        if self._newest is None:
            return None
        movie = self._newest
        return Span(
            oldest=self._frames.oldest,
            final=_newest_final(movie),
            newest=movie.index,
            hop=max(1, movie.final),
            bytes=self._frames.bytes + self._stimuli.bytes,
        )

    def moment(self, now_s: float, behind: int | None = None) -> Moment | None:
        """Return the frame due now, `behind` frames after the newest; None = final.

        Before any frame is final, the oldest provisional one; None before any movie.
        """
        if self._newest is None:
            return None
        self._advance(now_s)
        unsettled = self._newest.index - _newest_final(self._newest)
        late = unsettled if behind is None else min(behind, unsettled)
        return self.at(max(int(self._head) - late, self._frames.oldest), now_s)

    def at(self, index: int, now_s: float) -> Moment | None:
        """Return the frame at `index`, or one just before it; None where none is."""
        found = self._frames.near(index)
        if found is None or self._newest is None:
            return None
        index, image = found
        seen = self._stimuli.near(index)
        ahead = _newest_final(self._newest) - index
        age_s = self._newest.lag + now_s - self._arrived_s + ahead / RATE_HZ
        return Moment(
            index=index,
            final=ahead >= 0,
            age_s=max(age_s, 0.0),
            reconstruction=image,
            stimulus=None if seen is None else seen[1],
            told=self._told.get(index, 1.0),
        )

    def stretch(self, first: int, last: int) -> Iterator[tuple[Array, Array | None]]:
        """Yield (reconstruction, stimulus) of the frames from first to last."""
        for index in range(first, last + 1):
            moment = self.at(index, 0.0)
            if moment is not None:
                yield moment.reconstruction, moment.stimulus

    def _learn(self, first: int, told: list[float]) -> None:
        """Remember what is not wholly told, of frames that are still kept."""
        for index, share in enumerate(told, first):
            self._told.pop(index, None)
            if share < 1:
                self._told[index] = share
        while self._told and next(iter(self._told)) < self._frames.oldest:
            del self._told[next(iter(self._told))]

    def _aim(self, newest: int, now_s: float) -> None:
        """Set the pace so that the new frames last until the next hop."""
        if not self._head <= newest <= self._head + LARGEST_BACKLOG:
            self._head = float(newest)
        hop_s = min(max(now_s - self._arrived_s, 1 / RATE_HZ), LONGEST_HOP_S)
        self._pace_hz = (newest - self._head) / hop_s

    def _advance(self, now_s: float) -> None:
        if self._newest is not None:
            step = self._pace_hz * (now_s - self._advanced_s)
            self._head = min(self._head + step, float(self._newest.index))
        self._advanced_s = now_s


def _newest_final(movie: Movie) -> int:
    return movie.index - movie.shape[0] + movie.final


class _Ring:
    """Frames by encoder index; the oldest go when there are too many or too large."""

    def __init__(self) -> None:
        self.bytes = 0
        self._frames: dict[int, Array] = {}

    @property
    def oldest(self) -> int:
        """The encoder frame that will go first."""
        return next(iter(self._frames))

    def put(self, index: int, image: Array) -> None:
        """Keep an image; one that was there before is replaced, in its place."""
        replaced = self._frames.get(index)
        self.bytes += image.nbytes - (0 if replaced is None else replaced.nbytes)
        # A copy, for a view would keep the whole message it came in.
        self._frames[index] = image.copy()
        while len(self._frames) > MOST_FRAMES or self.bytes > MOST_BYTES:
            self.bytes -= self._frames.pop(self.oldest).nbytes

    def near(self, index: int) -> tuple[int, Array] | None:
        """Return the frame at `index`, or one just before it that is still close."""
        for candidate in range(index, index - NEARBY_FRAMES, -1):
            if candidate in self._frames:
                return candidate, self._frames[candidate]
        return None
