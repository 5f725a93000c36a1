"""The clips that a report shows: the best, the worst, and where movies succeed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.analysis.html import filmstrip
from rtrecon.core.types import Array
from rtrecon.metrics.similarity import video_correlation
from rtrecon.session.movie_pairs import Pairs
from rtrecon.session.movie_reader import MovieFrames, told_finally
from rtrecon.session.session import Session
from rtrecon.sources.video import write_movie

SCENE_S = 5.0
_N_FRAMES = 6  # of a filmstrip
_SCALE = 4  # screen pixels per movie pixel
_GAP_PX = 2
_LEAST_VARIANCE = 1e-6  # gray levels squared; a pixel that never changed has none
_MOST_FRAMES = 9000  # five minutes, spread over a longer session, make the map


@dataclass(frozen=True)
class Scene:
    """A few seconds of the final movie, and the stimulus where it is known.

    r: with the stimulus; of held-out neurons where that is not known.
    """

    start_s: float
    r: float
    made: Array
    shown: Array | None
    rate_hz: float

    def mp4(self) -> bytes:
        """Return a movie of what was shown, to the left, and what was made."""
        frames = self.made
        if self.shown is not None:
            gap = np.zeros((*frames.shape[:2], _GAP_PX), np.uint8)
            frames = np.concatenate([self.shown, gap, frames], 2)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "scene.mp4"
            write_movie(file, frames, self.rate_hz, _SCALE)
            return file.read_bytes()

    def strip(self) -> Array:
        """Return some of its frames, what was shown above what was made."""
        chosen = np.linspace(0, len(self.made) - 1, _N_FRAMES).astype(int)
        rows = [] if self.shown is None else [filmstrip(self.shown[chosen])]
        return np.concatenate([*rows, filmstrip(self.made[chosen])])


def best_and_worst(session: Session) -> list[Scene]:
    """Return the best and the worst scene, best first; fewer where there are fewer."""
    told = told_finally(session.movie)
    pairs = Pairs.of(session, told)
    found = _with_stimulus(pairs, session) if len(pairs) else _unseen(told, session)
    scored = sorted(found, key=lambda scene: -scene[0])
    chosen = scored[:1] + scored[1:][-1:]
    return [_loaded(session, pairs if len(pairs) else told, *one) for one in chosen]


def recovered(session: Session) -> Array | None:
    """Return (height, width) 0..1, the share of each pixel's variance recovered.

    None where there is no stimulus to tell it by.
    """
    pairs = Pairs.of(session, told_finally(session.movie))
    n, sums = 0, np.zeros((3, *session.about.image_shape))
    for block in pairs.blocks(_MOST_FRAMES):
        made, shown = (part.astype(np.float64) for part in block)
        n += len(made)
        sums += np.stack(
            [shown.sum(0), (shown**2).sum(0), ((made - shown) ** 2).sum(0)]
        )
    if not n:
        return None
    mean, square, error = sums / n
    return np.clip(1 - error / np.maximum(square - mean**2, _LEAST_VARIANCE), 0, 1)


_Found = tuple[float, int, int]  # r, first and last place of a scene


def _with_stimulus(pairs: Pairs, session: Session) -> Iterator[_Found]:
    for start, stop in _whole(pairs.indices, session):
        r = video_correlation(*pairs.read(start, stop))
        if np.isfinite(r):
            yield r, start, stop


def _unseen(told: MovieFrames, session: Session) -> Iterator[_Found]:
    """Judge scenes by the held-out neurons, as they were judged live."""
    judged = [q for q in session.quality if q.activity_correlation is not None]
    at = np.array([q.index for q in judged])
    for start, stop in _whole(told.indices, session):
        first, last = np.searchsorted(at, told.indices[[start, stop - 1]])
        r = [judged[i].activity_correlation for i in range(first, last)]
        if r:
            yield float(np.mean(np.array(r, float))), start, stop


def _whole(indices: Array, session: Session) -> Iterator[tuple[int, int]]:
    """Yield first and last place of stretches of that length without a hole."""
    length = round(SCENE_S * session.about.encoder_rate_hz)
    for start in range(0, len(indices) - length + 1, length):
        if indices[start + length - 1] - indices[start] == length - 1:
            yield start, start + length


def _loaded(
    session: Session, movie: Pairs | MovieFrames, r: float, start: int, stop: int
) -> Scene:
    rate_hz = session.about.encoder_rate_hz
    start_s = float(movie.indices[start]) / rate_hz
    if isinstance(movie, MovieFrames):
        return Scene(start_s, r, movie.read(start, stop), None, rate_hz)
    made, shown = movie.read(start, stop)
    return Scene(start_s, r, made, shown, rate_hz)
