"""Headers of the messages that senders send to the daemon.

Sockets: PUSH (sender) to PULL (daemon), two parts [header][payload], or framed TCP.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

import msgspec

from rtrecon.protocol.behavior import BEHAVIOR, BehaviorValues
from rtrecon.protocol.fields import (
    RATE_DTYPE,
    BehaviorValue,
    Count,
    Hertz,
    MessageHeader,
    PixelDtype,
    RateDtype,
    Seconds,
    ShortText,
    describe,
)
from rtrecon.stimulus_space.video import VIDEO

_MicroscopeTime = Annotated[
    Seconds | None,
    describe("Time on the microscope's clock; leave out if unknown.", "s"),
]
_OptionalSendTime = Annotated[
    Seconds | None,
    describe("Time on the sender's wall clock; needed where `t` is left out.", "s"),
]


class SessionStart(MessageHeader, frozen=True, tag="start"):
    """Announces a session; repeated about once a second with the same content.

    A daemon that starts later learns the session from the next repetition. In a
    session of spike rates, `dtype` is float32 and `shape` is [1, units]: each frame is
    one time bin. The payload of its start message is the ids of the units, int64, all
    different. The start message of images has no payload.
    """

    source: Annotated[str, describe("Program that sends, with its version.")]
    rate_hz: Annotated[
        Hertz, describe("Frames (with several planes: volumes) per second.", "Hz")
    ]
    shape: Annotated[
        tuple[int, int], describe("Size of a frame: [lines, pixels].", "px")
    ]
    dtype: Annotated[
        PixelDtype | RateDtype,
        describe("Type of the pixels; float32 for spike rates only."),
    ] = "int16"
    channels: Annotated[
        list[int], describe("Channels that will be sent, counted from 1.")
    ] = msgspec.field(default_factory=lambda: [1])
    planes: Annotated[list[float], describe("Depth of each plane.", "um")] = (
        msgspec.field(default_factory=lambda: [0.0])
    )
    rois: Annotated[
        list[Any] | None, describe("Scan fields of a multi-ROI scan; null for one.")
    ] = None
    can_wait: Annotated[
        bool,
        describe(
            "Whether the sender can wait, as a replay from a file can. Where the "
            "daemon's queues are full, it then takes no further frame for a while "
            "instead of dropping one."
        ),
    ] = False
    rate_unit: Annotated[
        ShortText | None,
        describe(
            "Unit of the spike rates, `spikes per bin` where left out. The encoder "
            "must have been trained on rates in this unit."
        ),
    ] = None
    meta: Annotated[
        dict[str, Any],
        describe(
            "Any other facts; stored in the recording. `um_per_px`: size of a pixel, "
            "which a time-lapse of a culture needs."
        ),
    ] = msgspec.field(default_factory=dict)

    @property
    def has_unit_rates(self) -> bool:
        """Whether frames are spike rates of units instead of images."""
        return self.dtype == RATE_DTYPE


class Frame(MessageHeader, frozen=True, tag="frame"):
    """One microscope frame, or one bin of rates: payload is its pixels, row by row."""

    frame: Annotated[
        Count,
        describe(
            "The microscope's frame counter (with several planes: volume counter). "
            "The daemon counts jumps as lost frames."
        ),
    ]
    t: Annotated[
        Seconds,
        describe("Time of the frame on the microscope's clock; never decreases.", "s"),
    ]
    t_send: Annotated[
        Seconds, describe("Time of sending on the sender's wall clock.", "s")
    ]
    shape: Annotated[tuple[int, int], describe("Size: [lines, pixels].", "px")]
    dtype: Annotated[
        PixelDtype | RateDtype, describe("Type of the pixels, as in `start`.")
    ] = "int16"
    channel: Annotated[int, describe("Channel of this frame, counted from 1.")] = 1
    plane: Annotated[int, describe("Index of the plane, from 0.")] = 0
    roi: Annotated[
        str | None, describe("Name of the scan field in a multi-ROI scan.")
    ] = None
    dropped: Annotated[
        Count, describe("Frames that the sender could not send so far.", "frames")
    ] = 0


class StimulusFrame(MessageHeader, frozen=True, tag="stimulus"):
    """One frame of the stimulus: payload is its values, such as the pixels of a movie.

    uint8 values are levels, 0 to 255; float32 values have the unit of the stimulus
    space, such as dB of a sound. Where the encoder was trained on another space, the
    daemon refuses the message. An empty payload means "frame `index` of `clip`".
    """

    clip: Annotated[str, describe("Name of the stimulus movie.")]
    index: Annotated[Count, describe("Index of the frame in the movie, from 0.")]
    t: _MicroscopeTime = None
    t_send: _OptionalSendTime = None
    shape: Annotated[
        tuple[int, int] | None,
        describe(
            "Size of the frame: [height, width] of an image, [bands, channels] of a "
            "sound, [whiskers, quantities] of touch; needed with a payload.",
            "px",
        ),
    ] = None
    dtype: Annotated[
        Literal["uint8", "float32"],
        describe("Type of the values: levels, or the quantity of the space."),
    ] = "uint8"
    space: Annotated[
        ShortText,
        describe("Stimulus space: `video`, `sound` or `touch`."),
    ] = VIDEO.name


class BehaviorSample(MessageHeader, frozen=True, tag="behavior"):
    """One sample of the mouse's behaviour. Leave out what is not measured."""

    t: _MicroscopeTime = None
    t_send: _OptionalSendTime = None
    pupil_dilation: Annotated[
        BehaviorValue | None, describe("Size of the pupil.", "as in training")
    ] = None
    running_speed: Annotated[
        BehaviorValue | None, describe("Running speed.", "as in training")
    ] = None
    pupil_x: Annotated[
        BehaviorValue | None,
        describe("Horizontal position of the pupil's centre.", "as in training"),
    ] = None
    pupil_y: Annotated[
        BehaviorValue | None,
        describe("Vertical position of the pupil's centre.", "as in training"),
    ] = None

    def behavior_values(self) -> BehaviorValues:
        """Return the four values in the order of `BEHAVIOR`."""
        return cast("BehaviorValues", tuple(getattr(self, name) for name in BEHAVIOR))


class SyncEdge(MessageHeader, frozen=True, tag="sync"):
    """One edge of a digital line.

    A microscope program gives `t`. A program with a clock of its own leaves `t` out;
    from the edges that both report, the daemon estimates the offset of the two clocks.
    """

    t_send: Annotated[
        Seconds, describe("Time of the edge on the sender's wall clock.", "s")
    ]
    line: Annotated[int, describe("Number of the digital line.")]
    value: Annotated[int, describe("Level after the edge, 0 or 1.")]
    t: _MicroscopeTime = None


class SessionEnd(MessageHeader, frozen=True, tag="end"):
    """Ends the session. It may get lost; then a timeout ends the session."""

    reason: Annotated[str, describe("Why the session ended.")]
    frames: Annotated[Count, describe("Frames sent in all.", "frames")] = 0
    dropped: Annotated[
        Count, describe("Frames that could not be sent in all.", "frames")
    ] = 0


IncomingMessage = (
    SessionStart | Frame | StimulusFrame | BehaviorSample | SyncEdge | SessionEnd
)
