"""Fields of every header that the daemon publishes."""

from __future__ import annotations

from typing import Annotated

import msgspec

from rtrecon.protocol.fields import MessageHeader, describe


class PublishedHeader(MessageHeader, frozen=True):
    """Fields of every published header."""

    session: Annotated[
        str,
        msgspec.Meta(max_length=64),
        describe("Id of the session; empty before the first one."),
    ]
    t: Annotated[float, describe("Time of publishing, the daemon's wall clock.", "s")]
