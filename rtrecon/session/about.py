"""The constants of a recorded session, stored in `about.json`."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated, Any

import msgspec

from rtrecon.protocol.fields import describe
from rtrecon.session.provenance import Machine
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO

FORMAT_VERSION = 1


class DishAbout(msgspec.Struct, frozen=True, kw_only=True):
    """Constants of a session of neurons in a dish."""

    shape: Annotated[tuple[int, int], describe("Size of a picture.", "px")]
    view_shape: Annotated[
        tuple[int, int], describe("Size of the recorded views of the pictures.", "px")
    ]
    view_step_px: Annotated[
        int, describe("Pixels of a picture per pixel of a view, along each side.", "px")
    ]
    um_per_px: Annotated[float, describe("Size of a pixel of a picture.", "um")]
    interval_s: Annotated[float, describe("Announced time between two frames.", "s")]
    n_planes: Annotated[int, describe("Number of planes (stage positions).")] = 1
    event_kinds: Annotated[
        list[str], describe("Names that `dish_events.kind` is an index into.")
    ] = msgspec.field(default_factory=list)


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Constants of one session, in JSON beside its arrays.

    The recorder fills in `started`, `version`, `libraries`, `machine` and
    `checkpoint_sha256`.
    """

    session: Annotated[str, describe("Id of the session, as the sender gave it.")]
    roi_ids: Annotated[list[int], describe("Id of each ROI, in the order of traces.")]
    neuron_ids: Annotated[
        list[int],
        describe(
            "Id of each neuron, in the order of `activity`: the encoder's order, which "
            "may differ from that of `roi_ids`."
        ),
    ]
    roi_planes: Annotated[
        list[int], describe("Plane of each ROI, from 0; empty for a single plane.")
    ] = msgspec.field(default_factory=list)
    rejection_reasons: Annotated[
        list[str],
        describe("Sentences that `frames.rejection_reason` is an index into."),
    ] = msgspec.field(default_factory=list)
    rate_unit: Annotated[
        str | None,
        describe("Unit of recorded firing rates; null if images were recorded."),
    ] = None
    rate_hz: Annotated[
        float,
        describe(
            "Microscope frames per second, of each plane; as measured from the times "
            "of the frames where the sender announced another.",
            "Hz",
        ),
    ] = 30.0
    announced_rate_hz: Annotated[
        float | None, describe("Frames per second as the sender announced them.", "Hz")
    ] = None
    encoder_rate_hz: Annotated[float, describe("Encoder frames per second.", "Hz")] = (
        30.0
    )
    hop_frames: Annotated[
        int,
        describe("Encoder frames between two reconstructions.", "encoder frames"),
    ] = 5
    window_frames: Annotated[
        int, describe("Images in one reconstruction.", "encoder frames")
    ] = 35
    stimulus_space: Annotated[
        StimulusSpace,
        describe("What a frame of stimulus and movie is: axes, rate, quantity."),
    ] = VIDEO
    chunk_s: Annotated[
        float, describe("Duration of one chunk of every array on disk.", "s")
    ] = 1.0
    settings: Annotated[
        dict[str, Any], describe("All settings that the session was recorded with.")
    ] = msgspec.field(default_factory=dict)
    meta: Annotated[
        dict[str, Any], describe("What the sender said about the session, free JSON.")
    ] = msgspec.field(default_factory=dict)
    dish: Annotated[
        DishAbout | None,
        describe("Constants of a session of neurons in a dish; null for others."),
    ] = None
    has_photodiode: Annotated[
        bool, describe("Whether onsets of pictures are recorded.")
    ] = False
    has_movie: Annotated[bool, describe("Whether reconstructions are recorded.")] = True
    started: Annotated[
        str, describe("When recording began, with time zone.", "ISO 8601")
    ] = ""
    version: Annotated[str, describe("Version of rtrecon.")] = ""
    libraries: Annotated[
        dict[str, str], describe("Versions of Python and the required libraries.")
    ] = msgspec.field(default_factory=dict)
    machine: Annotated[
        Machine, describe("Operating system, processor, cores and memory.")
    ] = Machine()
    checkpoint_sha256: Annotated[
        str | None, describe("SHA-256 of the encoder's file; null without one.")
    ] = None
    format: Annotated[int, describe("Version of this format.")] = FORMAT_VERSION


class Clip(msgspec.Struct, frozen=True):
    """Start of a stimulus clip."""

    encoder_frame: Annotated[int, describe("First encoder frame of the clip.")]
    name: Annotated[str, describe("Name of the clip, as the stimulus program sent it.")]


def find_impossible_value(about: About) -> str:
    """Return which value of a file that somebody changed cannot be right, or ""."""
    for name in ("rate_hz", "encoder_rate_hz", "hop_frames", "window_frames"):
        if not 0 < (value := getattr(about, name)) < math.inf:
            return f"{name} is {value}; it must be above 0"
    try:
        datetime.fromisoformat(about.started)
    except ValueError:
        return f"started is {about.started!r}; it must be a date and time"
    return ""


def shorten_session_id(session: str) -> str:
    """Return the part of a session's id that its folder is named after.

    The id comes from outside: only its letters and digits reach a path.
    """
    return re.sub("[^0-9A-Za-z]", "", session)[:8]
