"""Behavior, quality of the reconstruction, and events in NWB."""

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
from rtrecon.export.series_data import describe_times
from rtrecon.metrics.live_metrics import quality_series
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.session.clock import SessionClock
from rtrecon.session.session import Session

_BEHAVIOR_SERIES = (
    ("running_speed", BehavioralTimeSeries, "cm/s", "running speed, as it was sent"),
    (
        "pupil_dilation",
        PupilTracking,
        "a.u.",
        "pupil size, in the sender's unit",
    ),
)


def add_behavior(file: NWBFile, session: Session, clock: SessionClock) -> None:
    """Add pupil and running speed, sample by sample."""
    table = session.behavior
    t_s = clock.from_microscope(table["t_microscope_s"])
    has_time = np.isfinite(t_s)
    values: dict[str, Array] = {name: table[name][has_time] for name in BEHAVIOR}
    boxes = list(_make_behavior_boxes(values, t_s[has_time]))
    if boxes:
        module = file.create_processing_module("behavior", "pupil and running")
        for box in boxes:
            module.add(box)


def add_quality(file: NWBFile, session: Session, clock: SessionClock) -> None:
    """Add every live metric and its null, over the session."""
    if not session.quality:
        return
    module = file.create_processing_module(
        "quality",
        "quality of the reconstructed movie, with the value to expect by chance",
    )
    frames = np.array([message.encoder_frame for message in session.quality], float)
    for series in quality_series():
        data = np.array(
            [message.metrics.get(series.name, np.nan) for message in session.quality]
        )
        has_value = np.isfinite(data)
        if has_value.any():
            module.add(
                TimeSeries(
                    name=series.name,
                    description=series.description,
                    data=data[has_value],
                    unit=series.metric.unit or "n.a.",
                    **describe_times(clock.from_encoder_frame(frames[has_value])),
                )
            )


def add_events(file: NWBFile, session: Session, clock: SessionClock) -> None:
    """Add every event: marks, losses, alarms, closed-loop rules."""
    if not session.events:
        return
    table = EventsTable(name="events", description="events, by the wall clock")
    table.add_column(name="kind", description="kind of event, one word")
    for event in session.events:
        t_s = float(clock.from_wall(np.array(event.t)))
        table.add_event(timestamp=t_s, annotation=event.message, kind=event.name)
    file.add_events_table(table)


def _make_behavior_boxes(
    values: dict[str, Array], t_s: Array
) -> Iterator[BehavioralTimeSeries | EyeTracking | PupilTracking]:
    for name, box_type, unit, description in _BEHAVIOR_SERIES:
        data, is_measured = _select_measured(values, name)
        if len(data):
            series = TimeSeries(
                name=name,
                description=description,
                data=data[:, 0],
                unit=unit,
                **describe_times(t_s[is_measured]),
            )
            yield box_type(time_series=series)
    eye, is_measured = _select_measured(values, "pupil_x", "pupil_y")
    if len(eye):
        position = SpatialSeries(
            name="pupil_position",
            description="center of the pupil: x, y, in the sender's unit",
            data=eye,
            reference_frame="the camera's image",
            unit="a.u.",
            **describe_times(t_s[is_measured]),
        )
        yield EyeTracking(spatial_series=position)


def _select_measured(values: dict[str, Array], *names: str) -> tuple[Array, Array]:
    """Return samples (n, names) that have every value, and which samples these are."""
    data = np.stack([values[name] for name in names], 1)
    is_measured = np.isfinite(data).all(1)
    return data[is_measured], is_measured
