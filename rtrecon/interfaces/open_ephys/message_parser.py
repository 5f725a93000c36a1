"""Messages of Open Ephys' ZMQ Interface: spikes, TTL edges, blocks of samples.

A message has three parts: an envelope (`DATA` or `EVENT`), a JSON header, and bytes.
Samples are counted from the start of the acquisition, per stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

_TTL_EVENT_TYPE = 3


class OpenEphysFormatError(ValueError):
    """A message that does not follow the format; the text says how."""


@dataclass(frozen=True)
class SpikeEvent:
    """A spike of a unit: electrode name and id of the sorted neuron."""

    unit: str
    sample: int


@dataclass(frozen=True)
class TtlEdge:
    """A digital line changed."""

    line: int
    value: int
    sample: int


@dataclass(frozen=True)
class SampleBlock:
    """A block of samples was recorded; `sample` is the first one after it."""

    sample: int
    rate_hz: float


@dataclass(frozen=True)
class OpenEphysMessage:
    """A message: its number (gaps are lost messages), its stream, and its content."""

    number: int
    stream: str
    content: SpikeEvent | TtlEdge | SampleBlock | None


class _ContentHeader(msgspec.Struct):
    stream: str = ""
    sample_num: int = 0
    num_samples: int = 0
    sample_rate: float = 0.0
    type: int = 0


class _SpikeHeader(msgspec.Struct):
    electrode: str
    sample_num: int
    stream: str = ""
    sorted_id: int = 0


class _MessageHeader(msgspec.Struct):
    message_num: int
    type: str
    content: _ContentHeader | None = None
    spike: _SpikeHeader | None = None


_decoder = msgspec.json.Decoder(_MessageHeader)


def parse_message(parts: list[Any]) -> OpenEphysMessage:
    """Parse one message; raises `OpenEphysFormatError`."""
    if len(parts) < 2:
        raise OpenEphysFormatError(f"a message has {len(parts)} parts, expected 2 or 3")
    try:
        header = _decoder.decode(bytes(parts[1]).rstrip(b"\0"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OpenEphysFormatError(f"a header does not parse: {error}") from None
    number, spike, content = header.message_num, header.spike, header.content
    if spike is not None:
        unit = f"{spike.electrode}/{spike.sorted_id}"
        return OpenEphysMessage(
            number, spike.stream, SpikeEvent(unit, spike.sample_num)
        )
    if content is None:
        return OpenEphysMessage(number, "", None)
    if header.type == "event":
        return OpenEphysMessage(number, content.stream, _parse_edge(content, parts))
    return OpenEphysMessage(number, content.stream, _parse_block(content))


def _parse_block(content: _ContentHeader) -> SampleBlock | None:
    if content.sample_rate <= 0:
        return None
    return SampleBlock(content.sample_num + content.num_samples, content.sample_rate)


def _parse_edge(content: _ContentHeader, parts: list[Any]) -> TtlEdge | None:
    if content.type != _TTL_EVENT_TYPE or len(parts) < 3 or len(parts[2]) < 2:
        return None
    line, state = bytes(parts[2])[:2]
    return TtlEdge(line, int(state > 0), content.sample_num)
