"""Types of header fields: their limits, descriptions and units."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from rtrecon.core.frame_intervals import MIN_RATE_HZ

PIXEL_DTYPES = ("int16", "uint16")
PixelDtype = Literal["int16", "uint16"]
RATE_DTYPE = "float32"
UM_PER_PX = "um_per_px"  # key of `SessionStart.meta`: size of a pixel in um
RateDtype = Literal["float32"]  # of rates, in sessions without images

# Wide enough for any clock or counter, narrow enough that arithmetic cannot overflow.
ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Seconds = Annotated[float, msgspec.Meta(ge=-1e10, le=1e10)]
Hertz = Annotated[float, msgspec.Meta(ge=MIN_RATE_HZ, le=1e5)]
BehaviorValue = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


def describe(description: str, unit: str = "") -> msgspec.Meta:
    """Return what the wire reference prints about a field."""
    return msgspec.Meta(
        description=description, extra_json_schema={"unit": unit} if unit else None
    )


class MessageHeader(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Fields of every header. Unknown fields are ignored; missing ones are an error."""

    session: Annotated[ShortText, describe("Id of the session; a UUID, for example.")]
    seq: Annotated[
        Count,
        describe(
            "Message counter, from 0. Into the daemon: over all messages of a session "
            "that were sent. Out of the daemon: per topic."
        ),
    ]
    v: Annotated[Literal[1], describe("Version of the protocol.")] = 1
