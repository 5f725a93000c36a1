"""What a report shows of the movie: the best and worst scene, recovered variance."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.analysis.html import make_filmstrip
from rtrecon.core.types import Array
from rtrecon.metrics.live_metrics import ACTIVITY_CORRELATION
from rtrecon.metrics.similarity import video_correlation
from rtrecon.session.movie_pairs import MoviePairs
from rtrecon.session.movie_reader import MovieFrames, select_final_frames
from rtrecon.session.session import Session
from rtrecon.session.visual_field import read_visual_field
from rtrecon.sources.video import join_side_by_side, write_movie
from rtrecon.stimulus_space.course import make_course
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO

SCENE_S = 5.0
_N_FRAMES = 6  # of a filmstrip
_SCALE = 4  # screen pixels per movie pixel

_MIN_VARIANCE = 1e-6  # gray levels squared; a pixel that never changed has none
_MAX_FRAMES = 9000  # five minutes, spread over a longer session, make the map


@dataclass(frozen=True)
class MovieScene:
    """A few seconds of the final movie, with the stimulus if it is known.

    r: correlation with the stimulus where the neurons look, or of held-out neurons
    without a stimulus. movie, stimulus: uint8 (T, height, width). space: of the
    stimulus.
    """

    start_s: float
    r: float
    movie: Array
    stimulus: Array | None
    rate_hz: float
    space: StimulusSpace = VIDEO

    def encode_mp4(self) -> bytes:
        """Return an MP4 file: stimulus left, if it is known, reconstruction right."""
        frames = self.movie
        if self.stimulus is not None:
            frames = join_side_by_side(self.stimulus, frames)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "scene.mp4"
            write_movie(file, frames, self.rate_hz, _SCALE)
            return file.read_bytes()

    def make_strip(self) -> Array:
        """Return one image: stimulus above, reconstruction below.

        A few frames of pictures; of another sense the whole course.
        """
        if not self.space.is_picture:
            courses = (
                [self.movie] if self.stimulus is None else [self.stimulus, self.movie]
            )
            return np.concatenate(
                [
                    make_filmstrip(make_course(list(c), self.space)[None])
                    for c in courses
                ]
            )
        chosen = np.linspace(0, len(self.movie) - 1, _N_FRAMES).astype(int)
        rows = [] if self.stimulus is None else [make_filmstrip(self.stimulus[chosen])]
        return np.concatenate([*rows, make_filmstrip(self.movie[chosen])])


def find_best_and_worst(session: Session) -> list[MovieScene]:
    """Return the best and the worst scene, best first; fewer in short sessions."""
    final_frames = select_final_frames(session.movie)
    pairs = MoviePairs.match_frames(session, final_frames)
    found = (
        _score_by_stimulus(pairs, session)
        if len(pairs)
        else _score_by_held_out(final_frames, session)
    )
    scored = sorted(found, key=lambda scene: -scene[0])
    chosen = scored[:1] + scored[1:][-1:]
    return [
        _load_scene(session, pairs if len(pairs) else final_frames, *one)
        for one in chosen
    ]


def map_recovered_variance(session: Session) -> Array | None:
    """Return (height, width) 0..1: the share of each pixel's variance recovered.

    None if the stimulus is not known.
    """
    pairs = MoviePairs.match_frames(session, select_final_frames(session.movie))
    n, sums = 0, np.zeros((3, *session.about.stimulus_space.shape))
    for block in pairs.iterate_blocks(_MAX_FRAMES):
        movie, stimulus = (part.astype(np.float64) for part in block)
        n += len(movie)
        sums += np.stack(
            [stimulus.sum(0), (stimulus**2).sum(0), ((movie - stimulus) ** 2).sum(0)]
        )
    if not n:
        return None
    mean, square, error = sums / n
    return np.clip(1 - error / np.maximum(square - mean**2, _MIN_VARIANCE), 0, 1)


_ScoredScene = tuple[float, int, int]  # r, first and last index of a scene


def _score_by_stimulus(pairs: MoviePairs, session: Session) -> Iterator[_ScoredScene]:
    visual_field = read_visual_field(session)
    for start, stop in _iterate_unbroken(pairs.encoder_frames, session):
        r = video_correlation(*pairs.read_pairs(start, stop), visual_field)
        if np.isfinite(r):
            yield r, start, stop


def _score_by_held_out(
    final_frames: MovieFrames, session: Session
) -> Iterator[_ScoredScene]:
    """Yield scenes with the live correlation of held-out neurons."""
    judged = [q for q in session.quality if ACTIVITY_CORRELATION.name in q.metrics]
    judged_frames = np.array([q.encoder_frame for q in judged])
    for start, stop in _iterate_unbroken(final_frames.encoder_frames, session):
        first, last = np.searchsorted(
            judged_frames, final_frames.encoder_frames[[start, stop - 1]]
        )
        r = [judged[i].metrics[ACTIVITY_CORRELATION.name] for i in range(first, last)]
        if r:
            yield float(np.mean(np.array(r, float))), start, stop


def _iterate_unbroken(indices: Array, session: Session) -> Iterator[tuple[int, int]]:
    """Yield first and last index of scenes in which no frame is missing."""
    length = round(SCENE_S * session.about.encoder_rate_hz)
    for start in range(0, len(indices) - length + 1, length):
        if indices[start + length - 1] - indices[start] == length - 1:
            yield start, start + length


def _load_scene(
    session: Session, movie: MoviePairs | MovieFrames, r: float, start: int, stop: int
) -> MovieScene:
    rate_hz, space = session.about.encoder_rate_hz, session.about.stimulus_space
    start_s = float(movie.encoder_frames[start]) / rate_hz
    if isinstance(movie, MovieFrames):
        images = movie.read_images(start, stop)
        return MovieScene(start_s, r, images, None, rate_hz, space)
    made, shown = movie.read_pairs(start, stop)
    return MovieScene(start_s, r, made, shown, rate_hz, space)
