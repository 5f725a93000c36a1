"""What was shown and what was reconstructed, frame by frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pynwb import NWBFile
from pynwb.epoch import TimeIntervals
from pynwb.image import ImageSeries

from rtrecon.core.types import Array
from rtrecon.export.clock import Clock, regular
from rtrecon.export.streams import Read, rows
from rtrecon.session.movie_reader import MovieFrames, told_finally
from rtrecon.session.session import Session

_GRAY = "8 bit gray levels"


def add_stimulus(
    file: NWBFile, session: Session, clock: Clock, told: Callable[[str, float], None]
) -> None:
    """Add the stimulus as the encoder saw it, and which clips it was made of."""
    table = session.stimulus
    if not len(table):
        return
    series = _series(
        "stimulus",
        "what was on the screen, reduced to what the encoder sees: [frame, x, y]",
        (len(table), *session.about.image_shape),
        table.values,
        clock.of_encoder(table["index"]),
        lambda share: told("stimulus", share),
    )
    file.add_stimulus(series)
    if session.clips:
        file.add_time_intervals(_clips(session, clock))


def add_movie(
    file: NWBFile, session: Session, clock: Clock, told: Callable[[str, float], None]
) -> bool:
    """Add the reconstructed movie once it would not change; False if none is kept."""
    movie: MovieFrames = told_finally(session.movie)
    if not len(movie):
        return False
    module = file.create_processing_module(
        "reconstruction", "the movie that explains the recorded activity"
    )
    module.add(
        _series(
            "reconstructed_movie",
            "final movie of the live inversion: [frame, x, y]; a guess at what the "
            "animal saw",
            (len(movie), *session.about.image_shape),
            movie.read,
            clock.of_encoder(movie.indices),
            lambda share: told("reconstruction", share),
        )
    )
    return True


def _series(
    name: str,
    description: str,
    shape: tuple[int, int, int],
    read: Read,
    t_s: Array,
    told: Callable[[float], None],
) -> ImageSeries:
    n_frames, height, width = shape

    def turned(start: int, stop: int) -> Array:
        return np.ascontiguousarray(read(start, stop).swapaxes(1, 2))

    data = rows((n_frames, width, height), "|u1", turned, told)
    return ImageSeries(
        name=name, description=description, data=data, unit=_GRAY, **regular(t_s)
    )


def _clips(session: Session, clock: Clock) -> TimeIntervals:
    table = TimeIntervals(name="clips", description="clips that the stimulus is of")
    table.add_column(name="clip", description="its name, as the stimulus program said")
    starts = [clip.index for clip in session.clips]
    stops = [*starts[1:], int(session.stimulus["index"][-1]) + 1]
    for clip, start, stop in zip(session.clips, starts, stops, strict=True):
        t_s = clock.of_encoder(np.array([start, stop], float)).tolist()
        table.add_interval(start_time=t_s[0], stop_time=t_s[1], clip=clip.name)
    return table
