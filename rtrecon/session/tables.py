"""What a recording holds: the tables and their columns, for writer and reader alike.

A session's folder::

    about.json        who and what: session, neurons, rates, all settings
    arrays.zarr/      one group per table: `rows` (n, columns) float64 and, for most,
                      `values` (n, ...): what each row measured
    events.jsonl      one published message per line; likewise quality and health
    clips.jsonl       where in the stimulus another clip begins
    incoming.rtr      all that came in, where `record.frames` is on
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec

from rtrecon.session.provenance import Machine

FORMAT = 1
ABOUT = "about.json"
ARRAYS = "arrays.zarr"
INCOMING = "incoming.rtr"  # see `incoming`; there only where frames were recorded
LINES = {
    "events": "events.jsonl",
    "quality": "quality.jsonl",
    "health": "health.jsonl",
    "clips": "clips.jsonl",
}
TRACES = ("cell", "neuropil", "dff")  # order of the second axis of frames' values
_EDGES_HZ = 10.0  # so often a digital line is expected to change


class About(msgspec.Struct, frozen=True, kw_only=True):
    """A session's constants, saved beside its arrays.

    `settings` and `meta` are free JSON; `roi_ids` and `neuron_ids` give the order of
    the traces and of the activity (in the encoder's order, so they may differ).
    `roi_planes` says in which plane each ROI lies; empty where there is only one.
    `rates_in` is what the activity of units is measured in; None where images came.
    `reasons` are those that `FrameRow.reason` counts in. The recorder fills in
    when it `started` (ISO 8601), the `version` of rtrecon and those of libraries, the
    machine, and the hash of the encoder's file.
    """

    session: str
    roi_ids: list[int]
    neuron_ids: list[int]
    roi_planes: list[int] = msgspec.field(default_factory=list)
    reasons: list[str] = msgspec.field(default_factory=list)
    rates_in: str | None = None
    rate_hz: float = 30.0  # microscope frames (of each plane) per second
    encoder_rate_hz: float = 30.0
    hop_frames: int = 5
    window_frames: int = 35
    image_shape: tuple[int, int] = (36, 64)
    chunk_s: float = 1.0
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    meta: dict[str, Any] = msgspec.field(default_factory=dict)
    keeps_movie: bool = True  # whether reconstructions are recorded
    started: str = ""
    version: str = ""
    libraries: dict[str, str] = msgspec.field(default_factory=dict)
    machine: Machine = Machine()
    checkpoint_sha256: str | None = None
    format: int = FORMAT


class Clip(msgspec.Struct, frozen=True):
    """From encoder frame `index` on, the stimulus is of this clip."""

    index: int
    name: str


class FrameRow(msgspec.Struct, frozen=True):
    """One microscope frame; its values are (3, n_roi) float32, see `TRACES`.

    Of several planes, the values are those of the frame's plane alone: its ROIs in the
    order of `About.roi_ids`, then NaN where another plane has more.
    """

    frame: int  # the microscope's own counter: a jump in it is a hole in time
    seq: int
    t: float  # s, the microscope's clock
    t_send: float  # s, the sender's wall clock
    t_received: float  # s, the daemon's wall clock
    shift_y_px: float
    shift_x_px: float
    confidence: float
    trusted: bool
    latency_ms: float  # received to traces
    plane: int = 0
    reason: int = 0  # why the shift is not trusted: an entry of `About.reasons`
    z: float = math.nan  # how much deeper than the reference: um, or stack planes


class ActivityRow(msgspec.Struct, frozen=True):
    """One encoder frame; its values are (n_neuron,) float32, NaN where lost."""

    index: int
    frame: int  # newest microscope frame in it
    pupil_dilation: float = math.nan
    running_speed: float = math.nan
    pupil_x: float = math.nan
    pupil_y: float = math.nan


class StimulusRow(msgspec.Struct, frozen=True):
    """The stimulus at one encoder frame; its values are uint8 (height, width)."""

    index: int


class BehaviorRow(msgspec.Struct, frozen=True):
    """A behaviour sample as it came, NaN where not measured; no values."""

    t: float
    pupil_dilation: float
    running_speed: float
    pupil_x: float
    pupil_y: float


class SyncRow(msgspec.Struct, frozen=True):
    """An edge of a digital line as it came; no values."""

    t: float  # s, the microscope's clock; NaN where another program saw the edge
    t_send: float  # s, the clock of whoever told
    line: int
    value: int


class MovieRow(msgspec.Struct, frozen=True):
    """One hop of the inverter; its values are the whole window, newest frame last.

    uint8 (window_frames, height, width), of which the last `count` are filled.
    """

    index: int  # encoder frame of the newest one
    count: int
    final: int  # how many of the first ones filled will not change again
    lag: float  # s, age of the newest final frame
    steps: int
    t_frame: float  # s, receive time of the newest microscope frame used
    t: float  # s, when it was published
    told: float = math.nan  # of the final ones: see `wire.Movie`; their mean


def short_id(session: str) -> str:
    """Return what a session's folder is named after, behind the moment it was made.

    The id comes from outside: only its letters and digits reach a path.
    """
    return re.sub("[^0-9A-Za-z]", "", session)[:8]


def fields(row: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the columns that a row has."""
    return row.__struct_fields__


@dataclass(frozen=True)
class TableSpec:
    """A table's columns, and the shape and type of one row's values (none: no values).

    `rate_hz` is how many rows a second are to be expected.
    """

    columns: tuple[str, ...]
    rate_hz: float
    shape: tuple[int, ...] | None = None
    dtype: str = "<f4"


def specs(about: About) -> dict[str, TableSpec]:
    """Return every table of a session by name."""
    encoder_hz, image = about.encoder_rate_hz, about.image_shape
    n_planes = 1 + max(about.roi_planes, default=0)
    window = (about.window_frames, *image)
    # zarr knows no empty side: without neurons there are no values to keep.
    widest = max(Counter(about.roi_planes).values(), default=len(about.roi_ids))
    traces = (len(TRACES), widest) if about.roi_ids else None
    activity = (len(about.neuron_ids),) if about.neuron_ids else None
    return {
        "frames": TableSpec(fields(FrameRow), about.rate_hz * n_planes, traces),
        "activity": TableSpec(fields(ActivityRow), encoder_hz, activity),
        "stimulus": TableSpec(fields(StimulusRow), encoder_hz, image, "|u1"),
        "behavior": TableSpec(fields(BehaviorRow), encoder_hz),
        "sync": TableSpec(fields(SyncRow), _EDGES_HZ),
        "movie": TableSpec(
            fields(MovieRow), encoder_hz / about.hop_frames, window, "|u1"
        ),
    }
