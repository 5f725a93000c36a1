"""What travels between programs: headers as JSON, pixels as raw bytes.

The only file that knows the bytes. `bridge/README.md` is the same contract in words.
Everything that arrives is decoded into a frozen struct or refused with a sentence
(`WireError`); nothing received is unpickled, evaluated or used as a path.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, cast

import msgspec
import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.behavior import BEHAVIOR, UNKNOWN, Behaved

MAX_HEADER_BYTES = 64 * 1024
MAX_PAYLOAD_BYTES = 64 * 1024 * 1024
PIXEL_TYPES = ("int16", "uint16")
PixelType = Literal["int16", "uint16"]
RateType = Literal["float32"]  # of rates, in sessions without images

# Bounds on what arrives, wide enough for any clock and narrow enough for arithmetic.
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Seconds = Annotated[float, msgspec.Meta(ge=-1e10, le=1e10)]
Hertz = Annotated[float, msgspec.Meta(ge=1e-3, le=1e5)]
Measure = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


class WireError(ValueError):
    """A message that does not keep to the contract; its text says how."""


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Fields of every header. Unknown fields are ignored, missing ones refused."""

    session: Name
    seq: Count  # the sender's own counter: over all its messages, or per topic
    v: Literal[1] = 1


# -- into the daemon: PUSH -> PULL, two parts [header][payload], lossless ------------


class Start(Header, frozen=True, tag="start"):
    """A session begins; repeated about once a second for a daemon that comes late.

    Of rates in place of images, `units` are the ids of all that are told of: each frame
    is then one bin, float32 of shape [1, units], the rate of each of them. `rates_in`
    is what they are measured in, "spikes per bin" where it is left out: an encoder was
    trained on the same.
    """

    source: str
    rate_hz: Hertz
    shape: tuple[int, int]  # lines, pixels
    dtype: PixelType | RateType = "int16"
    channels: list[int] = msgspec.field(default_factory=lambda: [1])
    planes: list[float] = msgspec.field(default_factory=lambda: [0.0])  # z, um
    rois: list[Any] | None = None
    units: list[int] | None = None
    rates_in: Name | None = None
    meta: dict[str, Any] = msgspec.field(default_factory=dict)


class Frame(Header, frozen=True, tag="frame"):
    """One image: payload is pixels, row-major [lines, pixels]; or a bin of rates."""

    frame: Count  # the microscope's own counter
    t: Seconds  # the microscope's clock
    t_send: Seconds  # the sender's wall clock
    shape: tuple[int, int]
    dtype: PixelType | RateType = "int16"
    channel: int = 1
    plane: int = 0
    roi: str | None = None
    dropped: Count = 0  # frames the sender could not send so far


class Stimulus(Header, frozen=True, tag="stimulus"):
    """One stimulus frame, uint8; an empty payload means "frame `index` of `clip`"."""

    clip: str
    index: Count
    t: Seconds | None = None
    t_send: Seconds | None = None
    shape: tuple[int, int] | None = None
    dtype: Literal["uint8"] = "uint8"


class Behavior(Header, frozen=True, tag="behavior"):
    """A behaviour sample; whatever is not measured is left out.

    `t` is the microscope's clock; where it is not known, `t_send` is the sender's.
    """

    t: Seconds | None = None
    t_send: Seconds | None = None
    pupil_dilation: Measure | None = None
    running_speed: Measure | None = None
    pupil_x: Measure | None = None
    pupil_y: Measure | None = None

    def behaved(self) -> Behaved:
        """Return what was measured, in the order of `BEHAVIOR`."""
        return cast("Behaved", tuple(getattr(self, name) for name in BEHAVIOR))


class Sync(Header, frozen=True, tag="sync"):
    """An edge of a digital line, seen on the microscope's clock.

    `t` is left out by a program that made or saw the edge on its own clock, `t_send`:
    so the daemon learns that clock.
    """

    t_send: Seconds
    line: int
    value: int
    t: Seconds | None = None


class End(Header, frozen=True, tag="end"):
    """The sender is done; a hint, for it can go missing."""

    reason: str
    frames: Count = 0
    dropped: Count = 0


Incoming = Start | Frame | Stimulus | Behavior | Sync | End

# -- out of the daemon: PUB, three parts [topic][header][payload] --------------------


class Outgoing(Header, frozen=True):
    """Fields of every published header. `t` is the daemon's wall clock in seconds."""

    session: Annotated[str, msgspec.Meta(max_length=64)]  # empty before the first one
    t: float


class Field(Outgoing, frozen=True, tag="field"):
    """The registered field, downsampled: payload uint8 (lines, pixels)."""

    frame: int
    shape: tuple[int, int]
    shift_px: tuple[float, float]  # y, x: where the frame lay relative to the template
    confidence: float
    step: int = 1  # downsampling: one field pixel is `step` camera pixels
    plane: int = 0
    reason: str = ""  # why the shift is not to be trusted, in a few words
    z: float | None = None  # how much deeper than the reference: um, or stack planes
    z_error: float | None = None  # one s.d.


class Activity(Outgoing, frozen=True, tag="activity"):
    """Activity at one encoder frame: payload float32 (n_neuron,); NaN = lost."""

    index: int  # encoder frame since the session's first microscope frame
    frame: int  # newest microscope frame in it
    t_frame: float  # s, daemon's wall clock when that frame was received
    behavior: Behaved = UNKNOWN  # in the order of `BEHAVIOR`
    late: bool = False  # the frame had to wait until there was a reference
    # When the newest frame known by then was received: deconvolution looks ahead.
    t_newest: float | None = None


class Movie(Outgoing, frozen=True, tag="movie"):
    """Reconstructed frames, newest last: payload uint8 (n, height, width).

    `index` is the encoder frame of the newest one, `final` how many of the leading
    frames will not change again, `lag` the age in s of the newest final frame. `told`
    says per frame, 0..1, how much of what activity can tell of it is there: less of the
    newest, and where activity was lost.
    """

    index: int
    final: int
    lag: float
    shape: tuple[int, int, int]
    steps: int  # optimiser steps done in this hop
    t_frame: float  # receive time of the newest microscope frame used
    information_fraction: list[float] | None = None


class Seen(Outgoing, frozen=True, tag="stimulus"):
    """The stimulus at encoder frame `index`: payload uint8 (height, width)."""

    index: int
    clip: str
    shape: tuple[int, int]


class HeldOut(msgspec.Struct, frozen=True):
    """What the movie says that some of the held-out neurons should do.

    predicted: per encoder frame, the first of them `index`, a value for each of the
    neurons, in the units of their activity.
    """

    index: int
    neurons: list[Count]  # rows of the activity payload
    predicted: list[list[float]]


class Quality(Outgoing, frozen=True, tag="quality"):
    """How far the movie can be trusted: payload float32 identifiability map or empty.

    `activity_correlation` is over held-out neurons, `null_correlation` the same for
    the same pipeline fed with neurons permuted. Pixel figures need a known stimulus.
    """

    index: int
    lag: float  # s, of the frames judged
    activity_correlation: float | None = None
    null_correlation: float | None = None
    pixel_correlation: float | None = None
    null_pixel_correlation: float | None = None
    pixel_correlation_by_lag: dict[str, float] = msgspec.field(default_factory=dict)
    held_out: HeldOut | None = None
    shape: tuple[int, int] | None = None


class Percentiles(msgspec.Struct, frozen=True):
    """A latency's distribution, in milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float
    n: int


class Gaps(msgspec.Struct, frozen=True):
    """Losses by where they happened, in messages or frames."""

    wire: int = 0  # gap in `seq`
    source: int = 0  # gap in `frame` with none in `seq`
    repeats: int = 0  # the same `frame` again (flyback), ignored


class Health(Outgoing, frozen=True, tag="health"):
    """How a process is doing; one message per station process."""

    station: Literal["front", "inverter", "reactor"]
    state: str  # one word: waiting, calibrating, running, idle, restarting, ...
    rate_hz: float = 0.0
    frames_received: int = 0
    frames_processed: int = 0
    rejected: int = 0
    gaps: Gaps = Gaps()
    latency_ms: dict[str, Percentiles] = msgspec.field(default_factory=dict)
    queue_depth: dict[str, int] = msgspec.field(default_factory=dict)
    lost: dict[str, int] = msgspec.field(default_factory=dict)
    untrusted: dict[str, int] = msgspec.field(default_factory=dict)  # by reason
    deadline_misses: int = 0
    steps_per_hop: float = 0.0
    realtime_factor: float = 0.0
    memory_mb: float = 0.0
    peak_memory_mb: float = 0.0
    disk_free_gb: float | None = None


class Event(Outgoing, frozen=True, tag="event"):
    """Something happened that somebody may act on; `message` is a sentence."""

    name: str
    message: str = ""
    rule: str = ""
    value: float | None = None
    frame: int | None = None
    t_frame: float | None = None  # receive time of the newest frame that a rule knew
    dry_run: bool = False  # told only: no output was touched


Published = Field | Activity | Movie | Seen | Quality | Health | Event
TOPICS = ("field", "activity", "movie", "stimulus", "quality", "health", "event")

_PAYLOAD_TYPES: dict[type, str] = {
    Field: "uint8",
    Movie: "uint8",
    Seen: "uint8",
    Quality: "float32",
}

_encoder = msgspec.json.Encoder()
_incoming = msgspec.json.Decoder(Incoming)
_published = msgspec.json.Decoder(Published)


def encode(message: Incoming, payload: bytes | memoryview | Array = b"") -> list[Any]:
    """Return the two parts to send into the daemon."""
    return [_encoder.encode(message), _raw(payload)]


def decode(parts: list[Any]) -> tuple[Incoming, Array]:
    """Read two parts from a sender.

    Returns the header and its payload as an array of the shape and type it claims
    (a view of the bytes received, read-only). Raises `WireError` with a sentence.
    """
    header, payload = _two_parts(parts)
    message = _header(_incoming, header)
    if isinstance(message, Start):
        _size_bytes(message.shape, message.dtype)
        _require_units(message)
    if isinstance(message, Frame):
        return message, _pixels(payload, message.shape, message.dtype)
    if isinstance(message, Stimulus) and len(payload):
        if message.shape is None:
            raise WireError("stimulus message carries pixels but no 'shape'")
        return message, _pixels(payload, message.shape, message.dtype)
    if len(payload):
        raise WireError(
            f"{_tag(message)} message carries {len(payload)} bytes of payload, "
            "expected none"
        )
    return message, np.empty(0, np.uint8)


def encode_published(message: Published, payload: Any = b"") -> list[Any]:
    """Return the three parts to publish; the topic is the message's own type."""
    return [_tag(message).encode(), _encoder.encode(message), _raw(payload)]


def decode_published(parts: list[Any]) -> tuple[Published, Array]:
    """Read three parts from the daemon; raises `WireError` with a sentence."""
    if len(parts) != 3:
        raise WireError(f"published message has {len(parts)} parts, expected 3")
    message = _header(_published, parts[1])
    if _tag(message).encode() != bytes(parts[0]):
        raise WireError(f"topic {bytes(parts[0])!r} carries a {_tag(message)} header")
    payload = memoryview(parts[2])
    if isinstance(message, Activity):
        if not len(payload):
            return message, np.empty(0, np.float32)
        return message, _pixels(payload, (len(payload) // 4,), "float32")
    dtype = _PAYLOAD_TYPES.get(type(message))
    shape = getattr(message, "shape", None)
    if dtype is None or shape is None or not len(payload):
        return message, np.empty(0, np.uint8)
    return message, _pixels(payload, shape, dtype)


def _tag(message: msgspec.Struct) -> str:
    return str(type(message).__struct_config__.tag)


def _raw(payload: Any) -> Any:
    if isinstance(payload, np.ndarray):
        little = payload.astype(payload.dtype.newbyteorder("<"), copy=False)
        return np.ascontiguousarray(little).reshape(-1).view(np.uint8).data
    return payload


def _two_parts(parts: list[Any]) -> tuple[Any, memoryview]:
    if len(parts) != 2:
        raise WireError(f"message has {len(parts)} parts, expected header and payload")
    return parts[0], memoryview(parts[1])


def _header(decoder: msgspec.json.Decoder[Any], raw: Any) -> Any:
    if len(raw) > MAX_HEADER_BYTES:
        raise WireError(
            f"header is {len(raw)} bytes, more than the {MAX_HEADER_BYTES} allowed"
        )
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"header does not parse: {error}") from None


def _size_bytes(shape: tuple[int, ...], dtype: str) -> int:
    if any(side <= 0 for side in shape):
        raise WireError(f"shape {list(shape)} has a side that is not positive")
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if expected > MAX_PAYLOAD_BYTES:
        raise WireError(
            f"shape {list(shape)} of {dtype} is {expected} bytes, "
            f"more than the {MAX_PAYLOAD_BYTES} allowed"
        )
    return expected


def _require_units(start: Start) -> None:
    if start.units is None:
        kept = start.dtype in PIXEL_TYPES
    else:
        n = len(start.units)
        rates = start.dtype == "float32" and start.shape == (1, n)
        kept = rates and len(set(start.units)) == n
    if not kept:
        raise WireError(
            f"start of {start.dtype} {list(start.shape)}: frames are int16 or uint16 "
            "images, or, with distinct 'units', float32 rates of shape [1, units]"
        )


def _pixels(payload: memoryview, shape: tuple[int, ...], dtype: str) -> Array:
    expected = _size_bytes(shape, dtype)
    if len(payload) != expected:
        raise WireError(
            f"payload is {len(payload)} bytes, but shape {list(shape)} of {dtype} "
            f"needs {expected}"
        )
    return np.frombuffer(payload, np.dtype(dtype).newbyteorder("<")).reshape(shape)
