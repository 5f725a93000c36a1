"""The tables of a recorded session: their columns and values, units and meaning.

A session's folder::

    about.json           constants of the session, see `about.About`
    arrays.zarr/         one group per table: `rows` (n, columns) float64, and for most
                         tables `values` (n, ...), what was measured at each row
    events.jsonl         published events, one JSON message per line
    quality.jsonl        published quality messages, likewise
    health.jsonl         published health messages, likewise
    calibration.jsonl    published calibration messages, likewise
    clips.jsonl          where each stimulus clip begins, see `about.Clip`
    raw_messages.rtr     every message received, if `recording.raw_messages` is on
    encoder.safetensors, encoder-training.png, encoder-training.json,
    calibration.training_state
                         an encoder trained in the session, its report, and what the
                         calibrator needs to go on after an interruption
    reference_plane0.npz, state_plane0.npz, trace_quality_plane0.csv
                         see `resume_state`
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np

from rtrecon.core.frame_intervals import is_time_lapse
from rtrecon.protocol.fields import describe
from rtrecon.session.about import About, DishAbout
from rtrecon.session.dish_tables import (
    DishBodyRow,
    DishContactRow,
    DishEventRow,
    DishRow,
    DishTraceRow,
)
from rtrecon.session.field_docs import FieldDoc, describe_fields

ABOUT_FILE = "about.json"
ARRAYS_FOLDER = "arrays.zarr"
RAW_MESSAGES_FILE = "raw_messages.rtr"
MESSAGE_FILES = {
    "events": "events.jsonl",
    "quality": "quality.jsonl",
    "health": "health.jsonl",
    "calibration": "calibration.jsonl",
    "clips": "clips.jsonl",
}
TRACE_NAMES = ("fluorescence", "neuropil", "dff")  # second axis of frames' values
FINAL_AGE = -2  # of the values of `spread`; -1 is the prior's
_EXPECTED_EDGES_HZ = 10.0
_SPREAD_EVERY_HOPS = 3
_TIME_LAPSE_CHUNK_ROWS, _DISH_CHUNK_ROWS = 32, 512


class FrameRow(msgspec.Struct, frozen=True):
    """One microscope frame of one plane."""

    frame: Annotated[
        int, describe("The microscope's frame counter; a jump means lost frames.")
    ]
    seq: Annotated[int, describe("The sender's message counter.")]
    t_microscope_s: Annotated[float, describe("Time on the microscope's clock.", "s")]
    t_sent_s: Annotated[
        float, describe("When it was sent, on the sender's wall clock.", "s")
    ]
    t_received_s: Annotated[
        float, describe("When it was received, on the daemon's wall clock.", "s")
    ]
    shift_y_px: Annotated[
        float, describe("Vertical displacement from the template.", "px")
    ]
    shift_x_px: Annotated[
        float, describe("Horizontal displacement from the template.", "px")
    ]
    confidence: Annotated[
        float, describe("Height of the registration's correlation peak.", "1")
    ]
    is_accepted: Annotated[
        bool,
        describe("1 if quality control accepted the frame, 0 if it was rejected."),
    ]
    latency_ms: Annotated[float, describe("Time from receipt to traces.", "ms")]
    plane: Annotated[int, describe("Index of the plane, from 0.")] = 0
    rejection_reason: Annotated[
        int, describe("Why the frame was rejected: index into `rejection_reasons`.")
    ] = 0
    z_offset: Annotated[
        float,
        describe(
            "How much deeper than the reference the frame lies; NaN without a stack.",
            "um, or planes of the stack if its spacing is unknown",
        ),
    ] = math.nan


class ActivityRow(msgspec.Struct, frozen=True):
    """One encoder frame."""

    encoder_frame: Annotated[
        int, describe("Encoder frames since the session's first microscope frame.")
    ]
    frame: Annotated[int, describe("Newest microscope frame in this encoder frame.")]
    pupil_dilation: Annotated[
        float, describe("Pupil size at this encoder frame.", "as sent")
    ] = math.nan
    running_speed: Annotated[
        float, describe("Running speed at this encoder frame.", "as sent")
    ] = math.nan
    pupil_x: Annotated[
        float, describe("Horizontal pupil position at this encoder frame.", "as sent")
    ] = math.nan
    pupil_y: Annotated[
        float, describe("Vertical pupil position at this encoder frame.", "as sent")
    ] = math.nan


class StimulusRow(msgspec.Struct, frozen=True):
    """The stimulus at one encoder frame."""

    encoder_frame: Annotated[
        int, describe("Encoder frames since the session's first microscope frame.")
    ]


class BehaviorRow(msgspec.Struct, frozen=True):
    """One behavior sample as it was received."""

    t_microscope_s: Annotated[
        float,
        describe("Time on the microscope's clock; NaN if the sender has another.", "s"),
    ]
    pupil_dilation: Annotated[float, describe("Pupil size.", "as sent")]
    running_speed: Annotated[float, describe("Running speed.", "as sent")]
    pupil_x: Annotated[float, describe("Horizontal pupil position.", "as sent")]
    pupil_y: Annotated[float, describe("Vertical pupil position.", "as sent")]


class SyncRow(msgspec.Struct, frozen=True):
    """One edge of a digital line as it was received."""

    t_microscope_s: Annotated[
        float,
        describe(
            "Time on the microscope's clock; NaN if another program saw the edge.", "s"
        ),
    ]
    t_sent_s: Annotated[float, describe("Time on the sender's clock.", "s")]
    line: Annotated[int, describe("Number of the digital line.")]
    value: Annotated[int, describe("Level after the edge.")]


class OnsetRow(msgspec.Struct, frozen=True):
    """One picture on the screen, where a photodiode saw it appear."""

    t_sent_s: Annotated[
        float,
        describe("When its sender says that it appears, microscope's clock.", "s"),
    ]
    t_onset_s: Annotated[
        float,
        describe(
            "When the photodiode saw it appear, microscope's clock; NaN if it did not.",
            "s",
        ),
    ]


class MovieRow(msgspec.Struct, frozen=True):
    """One hop of the inverter: a window of reconstructed images."""

    encoder_frame: Annotated[int, describe("Encoder frame of the newest image.")]
    n_frames: Annotated[
        int, describe("Images in the window: the last ones of the values.", "images")
    ]
    n_final: Annotated[
        int, describe("How many of the first images will not change again.", "images")
    ]
    lag_s: Annotated[float, describe("Age of the newest final image.", "s")]
    n_steps: Annotated[int, describe("Optimizer steps done in this hop.", "steps")]
    t_newest_frame_s: Annotated[
        float,
        describe(
            "When the newest microscope frame used was received, on the daemon's wall "
            "clock.",
            "s",
        ),
    ]
    t_published_s: Annotated[
        float,
        describe("When the window was published, on the daemon's wall clock.", "s"),
    ]
    information_fraction: Annotated[
        float,
        describe(
            "Share of the evidence that is present, 0 to 1; mean of the final images.",
            "1",
        ),
    ] = math.nan


class SpreadRow(msgspec.Struct, frozen=True):
    """How sure the movie was at one moment."""

    encoder_frame: Annotated[int, describe("Newest encoder frame it is made of.")]
    sd: Annotated[
        float,
        describe(
            "Standard deviation of the final images where the neurons look.",
            "gray levels",
        ),
    ]
    data_share: Annotated[
        float,
        describe(
            "Share of the variance of the final images that the activity decides, 0 to "
            "1, where the neurons look.",
            "1",
        ),
    ]


@dataclass(frozen=True)
class ValuesSpec:
    """What a table measures at each row: shape of one row, type, meaning."""

    shape: tuple[int, ...]
    dtype: str
    dimensions: tuple[str, ...]  # of one row
    unit: str
    description: str

    @property
    def row_bytes(self) -> int:
        """Memory of one row's values."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class TableSpec:
    """One table: columns, values if any, and how many rows per second to expect."""

    row_type: type[msgspec.Struct]
    row_dimension: str
    rate_hz: float
    values: ValuesSpec | None = None
    min_chunk_rows: int = 1  # where rows are rare, a chunk would hold a single one

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.row_type.__struct_fields__

    @property
    def column_docs(self) -> list[FieldDoc]:
        """Description and unit of each column."""
        return describe_fields(self.row_type)


def make_table_specs(about: About) -> dict[str, TableSpec]:
    """Return every table of a session by name."""
    n_planes = 1 + max(about.roi_planes, default=0)
    min_rows = _TIME_LAPSE_CHUNK_ROWS if is_time_lapse(about.rate_hz) else 1
    encoder_hz, hop_hz = about.encoder_rate_hz, about.encoder_rate_hz / about.hop_frames
    return {
        "frames": TableSpec(
            FrameRow,
            "frame",
            about.rate_hz * n_planes,
            _make_trace_spec(about),
            min_rows,
        ),
        "activity": TableSpec(
            ActivityRow,
            "encoder_frame",
            encoder_hz,
            _make_activity_spec(about),
            min_rows,
        ),
        "stimulus": TableSpec(
            StimulusRow, "encoder_frame", encoder_hz, _make_stimulus_spec(about)
        ),
        "behavior": TableSpec(BehaviorRow, "sample", encoder_hz),
        "sync": TableSpec(SyncRow, "edge", _EXPECTED_EDGES_HZ),
        "movie": TableSpec(MovieRow, "hop", hop_hz, _make_movie_spec(about)),
        "spread": TableSpec(
            SpreadRow, "estimate", hop_hz / _SPREAD_EVERY_HOPS, _make_spread_spec(about)
        ),
        **(
            {"onsets": TableSpec(OnsetRow, "picture", encoder_hz)}
            if about.has_photodiode
            else {}
        ),
        **(_make_dish_specs(about.dish) if about.dish else {}),
    }


def _make_dish_specs(dish: DishAbout) -> dict[str, TableSpec]:
    rate_hz = dish.n_planes / dish.interval_s
    views = ValuesSpec(
        dish.view_shape,
        "|u1",
        ("y", "x"),
        "gray level (0 to 255)",
        "The registered picture, reduced in size and scaled to its own contrast.",
    )
    owners = ValuesSpec(
        dish.shape,
        "<u2",
        ("y", "x"),
        "number of a neuron",
        "Whose each pixel is: 0 = no neurite and no body, 65534 = nothing is claimed, "
        "65535 = a neurite that belongs to no body.",
    )
    many = _DISH_CHUNK_ROWS
    return {
        "dish": TableSpec(DishRow, "picture", rate_hz, views),
        "dish_bodies": TableSpec(DishBodyRow, "row", rate_hz, min_chunk_rows=many),
        "dish_contacts": TableSpec(DishContactRow, "row", rate_hz, min_chunk_rows=many),
        "dish_events": TableSpec(DishEventRow, "row", rate_hz, min_chunk_rows=many),
        "dish_traces": TableSpec(DishTraceRow, "picture", rate_hz, owners),
    }


def _make_trace_spec(about: About) -> ValuesSpec | None:
    # zarr knows no empty side: a session without ROIs has no values.
    if not about.roi_ids:
        return None
    n_rois = max(Counter(about.roi_planes).values(), default=len(about.roi_ids))
    return ValuesSpec(
        (len(TRACE_NAMES), n_rois),
        "<f4",
        ("trace", "roi"),
        "counts, counts, 1",
        "Three traces of each ROI: fluorescence (weighted mean of its pixels), "
        "neuropil (mean of the ring around it) and dF/F. With several planes, the ROIs "
        "of the frame's plane in the order of `roi_ids`, then NaN where another plane "
        "has more ROIs.",
    )


def _make_activity_spec(about: About) -> ValuesSpec | None:
    if not about.neuron_ids:
        return None
    return ValuesSpec(
        (len(about.neuron_ids),),
        "<f4",
        ("neuron",),
        about.rate_unit or "dF/F per encoder frame",
        "Activity of each neuron: deconvolved dF/F, or rates if units were recorded. "
        "NaN where it was lost.",
    )


def _make_stimulus_spec(about: About) -> ValuesSpec:
    return ValuesSpec(
        about.stimulus_space.shape,
        "|u1",
        ("y", "x"),
        "gray level (0 to 255)",
        "The stimulus, reduced to the pixels that the encoder sees.",
    )


def _make_movie_spec(about: About) -> ValuesSpec:
    return ValuesSpec(
        (about.window_frames, *about.stimulus_space.shape),
        "|u1",
        ("window_frame", "y", "x"),
        "gray level (0 to 255)",
        "The reconstructed window, newest image last; only the last `n_frames` images "
        "are filled.",
    )


def _make_spread_spec(about: About) -> ValuesSpec:
    n_ages = max(1, about.window_frames // max(1, about.hop_frames))
    return ValuesSpec(
        (n_ages + 1, *about.stimulus_space.shape),
        "|u1",
        ("age", "y", "x"),
        "gray level (0 to 255)",
        "Standard deviation of each pixel: of the newest `hop_frames` images, of those "
        "before them, and so on to the final ones; and last, what it would be without "
        "any activity.",
    )
