"""What Open Ephys says through its ZMQ Interface: spikes, edges, and that time passes.

Three parts: an envelope (`DATA` or `EVENT`), a JSON header, and bytes. Samples are
counted from the beginning of the acquisition, per stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

_TTL = 3  # of the types of event


class NotOpenEphys(ValueError):
    """A message that does not keep to the format; its text says how."""


@dataclass(frozen=True)
class Spike:
    """A spike of a unit: its electrode, and which of the neurons sorted there."""

    unit: str
    sample: int


@dataclass(frozen=True)
class Edge:
    """A digital line changed."""

    line: int
    value: int
    sample: int


@dataclass(frozen=True)
class Passed:
    """All samples before this one have been taken, at so many a second."""

    sample: int
    rate_hz: float


@dataclass(frozen=True)
class Heard:
    """A message: its number, from which missing ones are known, and what it says."""

    number: int
    stream: str
    said: Spike | Edge | Passed | None


class _Content(msgspec.Struct):
    stream: str = ""
    sample_num: int = 0
    num_samples: int = 0
    sample_rate: float = 0.0
    type: int = 0


class _Spike(msgspec.Struct):
    electrode: str
    sample_num: int
    stream: str = ""
    sorted_id: int = 0


class _Header(msgspec.Struct):
    message_num: int
    type: str
    content: _Content | None = None
    spike: _Spike | None = None


_decoder = msgspec.json.Decoder(_Header)


def read(parts: list[Any]) -> Heard:
    """Read one message; raises `NotOpenEphys` with a sentence."""
    if len(parts) < 2:
        raise NotOpenEphys(f"a message has {len(parts)} parts, expected 2 or 3")
    try:
        header = _decoder.decode(bytes(parts[1]).rstrip(b"\0"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotOpenEphys(f"a header does not parse: {error}") from None
    number, spike, content = header.message_num, header.spike, header.content
    if spike is not None:
        unit = f"{spike.electrode}/{spike.sorted_id}"
        return Heard(number, spike.stream, Spike(unit, spike.sample_num))
    if content is None:
        return Heard(number, "", None)
    said = _edge(content, parts) if header.type == "event" else _passed(content)
    return Heard(number, content.stream, said)


def _passed(content: _Content) -> Passed | None:
    if content.sample_rate <= 0:
        return None
    return Passed(content.sample_num + content.num_samples, content.sample_rate)


def _edge(content: _Content, parts: list[Any]) -> Edge | None:
    if content.type != _TTL or len(parts) < 3 or len(parts[2]) < 2:
        return None
    line, state = bytes(parts[2])[:2]
    return Edge(line, int(state > 0), content.sample_num)
