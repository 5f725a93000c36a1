"""Stimulus and reconstructed movie in NWB, frame by frame."""

from __future__ import annotations

import numpy as np
from hdmf.common import DynamicTable
from pynwb import NWBFile, TimeSeries
from pynwb.epoch import TimeIntervals
from pynwb.image import ImageSeries

from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.export.series_data import RowReader, describe_times, stream_rows
from rtrecon.session.clock import SessionClock
from rtrecon.session.movie_reader import select_final_frames
from rtrecon.session.session import Session
from rtrecon.session.tables import FINAL_AGE
from rtrecon.stimulus_space.space import MAX_LEVEL, StimulusSpace

_UNIT = "8 bit gray levels"


def add_stimulus(
    file: NWBFile, session: Session, clock: SessionClock, on_progress: ProgressCallback
) -> None:
    """Add the stimulus as the encoder sees it, and the clips that it consists of."""
    table = session.stimulus
    if not len(table):
        return
    series = _make_series(
        session,
        ("stimulus", "the stimulus as the encoder sees it"),
        (len(table), *session.about.stimulus_space.shape),
        table.read_values,
        clock.from_encoder_frame(table["encoder_frame"]),
        on_progress,
    )
    file.add_stimulus(series)
    if not session.about.stimulus_space.is_picture:
        file.add_stimulus(_make_axes(session.about.stimulus_space))
    if session.clips:
        file.add_time_intervals(_make_clips(session, clock))


def add_movie(
    file: NWBFile, session: Session, clock: SessionClock, on_progress: ProgressCallback
) -> bool:
    """Add the final reconstructed movie; False if none was recorded."""
    movie = select_final_frames(session.movie)
    if not len(movie):
        return False
    module = file.create_processing_module(
        "reconstruction", "the movie that explains the recorded activity"
    )
    module.add(
        _make_series(
            session,
            (
                "reconstructed_movie",
                "final movie of the live inversion; an estimate of what the animal saw",
            ),
            (len(movie), *session.about.stimulus_space.shape),
            movie.read_images,
            clock.from_encoder_frame(movie.encoder_frames),
            on_progress,
        )
    )
    return True


def add_movie_sd(
    file: NWBFile, session: Session, clock: SessionClock, on_progress: ProgressCallback
) -> None:
    """Add the standard deviation of each frame of the final movie, beside the movie."""
    table, movie = session.spread, select_final_frames(session.movie)
    if not len(table) or not len(movie):
        return
    published = np.searchsorted(table["encoder_frame"], movie.encoder_frames)
    rows = np.minimum(published, len(table) - 1)

    def read_images(start: int, stop: int) -> Array:
        chosen = rows[start:stop]
        images = table.read_values(int(chosen[0]), int(chosen[-1]) + 1)[:, FINAL_AGE]
        return np.asarray(images[chosen - chosen[0]])

    file.processing["reconstruction"].add(
        _make_series(
            session,
            (
                "reconstructed_movie_sd",
                "standard deviation of each pixel of the reconstructed movie, from "
                "samples of the posterior",
            ),
            (len(movie), *session.about.stimulus_space.shape),
            read_images,
            clock.from_encoder_frame(movie.encoder_frames),
            on_progress,
        )
    )


def _make_series(
    session: Session,
    title: tuple[str, str],
    shape: tuple[int, int, int],
    read_images: RowReader,
    t_s: Array,
    on_progress: ProgressCallback,
) -> TimeSeries:
    """Return a series of frames. title: its name and description.

    Pictures are an ImageSeries [frame, x, y]; frames of another sense are a TimeSeries
    [frame, first axis, second axis], whose axes are in the table `stimulus_axes`.
    """
    name, description = title
    n_frames, height, width = shape
    space = session.about.stimulus_space
    if not space.is_picture:
        low, high = space.level_limits
        axes = ", ".join(axis.name for axis in space.axes)
        return TimeSeries(
            name=name,
            description=f"{description}: [frame, {axes}], levels of {space.quantity}",
            data=stream_rows(
                shape,
                "|u1",
                read_images,
                lambda done: on_progress(name, done, f"{done:.0%}"),
            ),
            unit=space.unit,
            conversion=(high - low) / MAX_LEVEL,
            offset=low if not name.endswith("_sd") else 0.0,
            **describe_times(t_s),
        )

    def read_transposed(start: int, stop: int) -> Array:
        return np.ascontiguousarray(read_images(start, stop).swapaxes(1, 2))

    data = stream_rows(
        (n_frames, width, height),
        "|u1",
        read_transposed,
        lambda done: on_progress(name, done, f"{done:.0%}"),
    )
    return ImageSeries(
        name=name,
        description=f"{description}: [frame, x, y]",
        data=data,
        unit=_UNIT,
        **describe_times(t_s),
    )


def _make_axes(space: StimulusSpace) -> DynamicTable:
    """Return the positions on both axes of a frame, one per row."""
    table = DynamicTable(
        name="stimulus_axes", description=f"axes of the frames of {space.name}"
    )
    table.add_column(name="axis", description="name of the axis")
    table.add_column(name="index", description="index on the axis, from 0")
    table.add_column(name="position", description="position in the unit of the axis")
    table.add_column(name="unit", description="unit of the position; empty for labels")
    table.add_column(name="label", description="the position as text")
    for axis in space.axes:
        for index, position in enumerate(axis.positions.tolist()):
            table.add_row(
                axis=axis.name,
                index=index,
                position=position,
                unit=axis.unit,
                label=axis.describe_position(index),
            )
    return table


def _make_clips(session: Session, clock: SessionClock) -> TimeIntervals:
    table = TimeIntervals(name="clips", description="clips of the stimulus")
    table.add_column(name="clip", description="name, as the stimulus program sent it")
    starts = [clip.encoder_frame for clip in session.clips]
    last_frame = int(session.stimulus["encoder_frame"][-1])
    stops = [*starts[1:], max(last_frame + 1, starts[-1])]
    for clip, start, stop in zip(session.clips, starts, stops, strict=True):
        t_s = clock.from_encoder_frame(np.array([start, stop], float)).tolist()
        table.add_interval(start_time=t_s[0], stop_time=t_s[1], clip=clip.name)
    return table
