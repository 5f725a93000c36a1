"""Which hop told of each movie frame, so that movies are read without all windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.session import tables
from rtrecon.session.table import Table

BLOCK_FRAMES = 256  # read at a time: of hops of five frames, windows of 4 MB


@dataclass(frozen=True)
class MovieFrames:
    """A movie, not read yet: encoder frame `indices[i]` is one image of one hop.

    indices: (n,) int64, increasing. rows: (n,) the hops that told of them; places: (n,)
    where in each hop's window, counted from its end.
    """

    indices: Array
    rows: Array
    places: Array
    movie: Table

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, start: int, stop: int) -> Array:
        """Return images start:stop, uint8 (n, height, width)."""
        rows, places = self.rows[start:stop], self.places[start:stop]
        first, last = int(rows.min(initial=0)), int(rows.max(initial=0))
        windows = self.movie.values(first, last + 1)
        images: Array = windows[rows - first, places] if len(rows) else windows[:0, 0]
        return images

    def whole(self) -> Array:
        """Return all images, read a few windows at a time: those are larger by far."""
        starts = range(0, len(self), BLOCK_FRAMES) or [0]
        return np.concatenate([self.read(at, at + BLOCK_FRAMES) for at in starts])


def told_at_lag(movie: Table, lag_frames: int) -> MovieFrames:
    """Return what was told of each frame when it was `lag_frames` old."""
    age = lag_frames + 1
    return _told(movie, lambda hop: range(max(0, hop.count - age), hop.count))


def told_finally(movie: Table) -> MovieFrames:
    """Return what was told of each frame when it would not change again."""
    return _told(movie, lambda hop: range(hop.final))


def _told(movie: Table, chosen: Callable[[tables.MovieRow], range]) -> MovieFrames:
    """Take the newest hop's word for every frame that it chose."""
    newest: dict[int, tuple[int, int]] = {}
    for number, row in enumerate(movie.rows):
        hop = tables.MovieRow(*map(int, row[:3]), *row[3:])
        for place in chosen(hop):
            newest[hop.index - hop.count + 1 + place] = number, place - hop.count
    # The first windows reach back to before the session.
    found = [(index, *newest[index]) for index in sorted(newest) if index >= 0]
    indices, rows, places = np.array(found, np.int64).reshape(-1, 3).T
    return MovieFrames(indices, rows, places, movie)
