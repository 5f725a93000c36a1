"""Behaviour, how good the reconstruction was, and what happened."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pynwb import NWBFile, TimeSeries
from pynwb.behavior import (
    BehavioralTimeSeries,
    EyeTracking,
    PupilTracking,
    SpatialSeries,
)
from pynwb.event import EventsTable

from rtrecon.core.types import Array
from rtrecon.export.clock import Clock, regular
from rtrecon.session.session import Session

_QUALITY = {
    "activity_correlation": "r of held-out neurons with what the movie predicts",
    "null_correlation": "the same with neurons exchanged: what nothing looks like",
    "pixel_correlation": "r of the final movie's pixels with the stimulus",
    "null_pixel_correlation": "the same with neurons exchanged",
}


def add_behavior(file: NWBFile, session: Session, clock: Clock) -> None:
    """Add what was measured of pupil and running, sample by sample."""
    table = session.behavior
    t_s = clock.of_microscope(table["t"])
    measured = {name: table[name] for name in table.columns if name != "t"}
    boxes = list(_behavior(measured, t_s))
    if boxes:
        module = file.create_processing_module("behavior", "pupil and running")
        for box in boxes:
            module.add(box)


def add_quality(file: NWBFile, session: Session, clock: Clock) -> None:
    """Add how far the movie could be trusted, through the session."""
    if not session.quality:
        return
    module = file.create_processing_module(
        "quality", "how far the reconstructed movie could be trusted"
    )
    indices = np.array([told.index for told in session.quality], float)
    for name, description in _QUALITY.items():
        values = [getattr(told, name) for told in session.quality]
        data = np.array([np.nan if value is None else value for value in values])
        known = np.isfinite(data)
        if known.any():
            module.add(
                TimeSeries(
                    name=name,
                    description=description,
                    data=data[known],
                    unit="n.a.",
                    **regular(clock.of_encoder(indices[known])),
                )
            )


def add_events(file: NWBFile, session: Session, clock: Clock) -> None:
    """Add all that somebody might have acted on: notes, losses, refusals."""
    if not session.events:
        return
    table = EventsTable(name="events", description="what happened, by the wall clock")
    table.add_column(name="kind", description="of the event, in a word")
    for event in session.events:
        t_s = float(clock.of_wall(np.array(event.t)))
        table.add_event(timestamp=t_s, annotation=event.message, kind=event.name)
    file.add_events_table(table)


_SERIES = (
    (
        "running_speed",
        BehavioralTimeSeries,
        "cm/s",
        "speed of running, as it was sent",
    ),
    (
        "pupil_dilation",
        PupilTracking,
        "a.u.",
        "size of the pupil, in the units of whoever sent it",
    ),
)


def _behavior(
    measured: dict[str, Array], t_s: Array
) -> Iterator[BehavioralTimeSeries | EyeTracking | PupilTracking]:
    for name, kind, unit, description in _SERIES:
        values, known = _where_known(measured, name)
        if len(values):
            series = TimeSeries(
                name=name,
                description=description,
                data=values[:, 0],
                unit=unit,
                **regular(t_s[known]),
            )
            yield kind(time_series=series)
    eye, known = _where_known(measured, "pupil_x", "pupil_y")
    if len(eye):
        position = SpatialSeries(
            name="pupil_position",
            description="centre of the pupil: x, y, in the units of whoever sent it",
            data=eye,
            reference_frame="the camera's image",
            unit="a.u.",
            **regular(t_s[known]),
        )
        yield EyeTracking(spatial_series=position)


def _where_known(measured: dict[str, Array], *names: str) -> tuple[Array, Array]:
    """Return (n, names) samples of which all were measured, and which those are."""
    values = np.stack([measured[name] for name in names], 1)
    known = np.isfinite(values).all(1)
    return values[known], known
