"""Which frame of the reconstruction to show now, and the stimulus that belongs to it.

Final frames arrive in bursts, one per hop of the inversion. They are played out evenly,
so that the movie moves as it moved for the mouse, one hop later than it could be shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rtrecon.wire import Array, Movie, Seen

RATE_HZ = 30.0  # encoder frames per second of the experiment
MOST_FRAMES = 600  # 20 s: more than any lag worth showing
MOST_BYTES = 64 * 2**20
LONGEST_HOP_S = 1.0  # a longer silence is a stall, not the pace of the movie
LARGEST_BACKLOG = 60  # frames; older ones are skipped, the newest win
NEARBY_FRAMES = 3  # how far back to look for a frame that went missing
MEAN_GRAY = 127  # what the inversion starts from where it knows nothing


@dataclass(frozen=True)
class Moment:
    """One encoder frame: what was reconstructed and, where known, what was shown.

    age_s: how long ago the mouse's activity was recorded. reconstruction, stimulus:
    uint8 (height, width).
    """

    index: int
    final: bool
    age_s: float
    reconstruction: Array
    stimulus: Array | None


class Playback:
    """The last final frames, the newest provisional one and the stimuli, bounded."""

    def __init__(self) -> None:
        self._finals = _Ring()
        self._stimuli = _Ring()
        self._newest: tuple[Movie, Array] | None = None
        self._newest_final = -1
        self._position = -math.inf  # in encoder frames
        self._pace_hz = RATE_HZ
        self._arrived_s = 0.0
        self._advanced_s = 0.0

    def see(self, seen: Seen, image: Array) -> None:
        """Remember the stimulus at an encoder frame."""
        self._stimuli.put(seen.index, image)

    def add(self, movie: Movie, frames: Array, now_s: float) -> None:
        """Take one hop of the inversion, frames uint8 (n, height, width)."""
        first = movie.index - len(frames) + 1
        for i in range(movie.final):
            self._finals.put(first + i, frames[i])
        self._advance(now_s)
        self._aim(first + movie.final - 1, now_s)
        self._newest = movie, frames[-1]
        self._arrived_s = now_s

    def moment(self, now_s: float, provisional: bool = False) -> Moment | None:
        """Return what to show: the final frame now due, or the newest one of all.

        Before any frame is final the newest is all there is; None before any movie.
        """
        if self._newest is None:
            return None
        self._advance(now_s)
        due = self._finals.near(int(self._position))
        if provisional or due is None:
            movie, image = self._newest
            behind = self._newest_final - movie.index
            return self._moment(movie.index, image, behind, now_s)
        index, image = due
        return self._moment(index, image, self._newest_final - index, now_s)

    def _moment(self, index: int, image: Array, behind: int, now_s: float) -> Moment:
        assert self._newest is not None
        seen = self._stimuli.near(index)
        age_s = self._newest[0].lag + now_s - self._arrived_s + behind / RATE_HZ
        return Moment(
            index=index,
            final=behind >= 0,
            age_s=max(age_s, 0.0),
            reconstruction=image,
            stimulus=None if seen is None else seen[1],
        )

    def _aim(self, newest_final: int, now_s: float) -> None:
        """Set the pace so that the new final frames last until the next hop."""
        if not self._position <= newest_final <= self._position + LARGEST_BACKLOG:
            self._position = float(newest_final)
        hop_s = min(max(now_s - self._arrived_s, 1 / RATE_HZ), LONGEST_HOP_S)
        self._pace_hz = (newest_final - self._position) / hop_s
        self._newest_final = newest_final

    def _advance(self, now_s: float) -> None:
        step = self._pace_hz * (now_s - self._advanced_s)
        self._position = min(self._position + step, float(self._newest_final))
        self._advanced_s = now_s


def faded(image: Array, trust: Array | None) -> Array:
    """Return the image with contrast only where the data, not the prior, decided it.

    image: uint8 (height, width). trust: float32 of the same shape, 0..1; None or
    another shape leaves the image as it is.
    """
    if trust is None or trust.shape != image.shape:
        return image
    known = np.clip(np.nan_to_num(trust), 0, 1)
    return np.asarray(MEAN_GRAY + known * (image - float(MEAN_GRAY)), np.uint8)


class _Ring:
    """Frames by encoder index; the oldest go when there are too many or too large."""

    def __init__(self) -> None:
        self._frames: dict[int, Array] = {}
        self._bytes = 0

    def put(self, index: int, image: Array) -> None:
        replaced = self._frames.pop(index, None)
        self._bytes -= 0 if replaced is None else replaced.nbytes
        # A copy, for a view would keep the whole message it came in.
        self._frames[index] = image.copy()
        self._bytes += image.nbytes
        while len(self._frames) > MOST_FRAMES or self._bytes > MOST_BYTES:
            self._bytes -= self._frames.pop(next(iter(self._frames))).nbytes

    def near(self, index: int) -> tuple[int, Array] | None:
        """Return the frame at `index`, or one just before it that is still close."""
        return next(self._backwards(index), None)

    def _backwards(self, index: int) -> Iterator[tuple[int, Array]]:
        for candidate in range(index, index - NEARBY_FRAMES, -1):
            if candidate in self._frames:
                yield candidate, self._frames[candidate]
