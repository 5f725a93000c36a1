"""Sections of what runs beside: the closed loop, streams of LSL."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rtrecon.config.section import Section
from rtrecon.protocol.behavior import Measured


class RuleSettings(Section):
    """One rule of the closed loop: a published value, a level, and how soon again."""

    name: str = Field(min_length=1, max_length=64)
    when: str = Field(
        description="value, comparison, number: quality.activity_correlation < 0.1"
    )
    for_s: float = Field(0.0, ge=0, description="it has to hold before it fires")
    until: float | None = Field(
        None, description="level to be back at before it fires again; none = the same"
    )
    refractory_s: float = Field(0.0, ge=0, description="least time between two firings")
    outputs: list[str] = Field([], description="by name; the event is told anyway")
    dry_run: bool = Field(False, description="tell events, touch no output")


class SerialSettings(Section):
    """A line of a serial port as TTL, or a byte to a trigger box."""

    port: str = Field(description="COM3, /dev/ttyUSB0, or a URL that pyserial knows")
    signal: Literal["byte", "rts", "dtr"] = Field(
        "byte", description="send `byte`, or pulse that line of the port"
    )
    byte: int = Field(1, ge=0, le=255)
    pulse_ms: float = Field(5.0, gt=0, le=1000)
    baud: int = Field(115200, gt=0)


class LslSettings(Section):
    """A marker stream of the lab streaming layer; each marker is a rule's name."""

    stream: str = Field("rtrecon", min_length=1)


class NiDaqSettings(Section):
    """A digital line of a National Instruments device."""

    line: str = Field(description="such as Dev1/port0/line0")
    pulse_ms: float = Field(5.0, gt=0, le=1000)


class PythonSettings(Section):
    """A function of your own, called with the event in a process of its own."""

    function: str = Field(description="'file.py:function' or 'module:function'")
    deadline_s: float = Field(0.5, gt=0, description="after which it is ended")
    max_restarts: int = Field(3, ge=0, description="of its process, when it stalls")


class ReactSettings(Section):
    """The closed loop: rules on what is published, and what they set off."""

    dry_run: bool = Field(False, description="of every rule")
    rules: list[RuleSettings] = Field([], description="what to react to")
    groups: dict[str, list[int]] = Field({}, description="neurons' ids, by name")
    targets: dict[str, str] = Field({}, description="clips to look for, by name")
    serial: dict[str, SerialSettings] = Field({}, description="serial ports")
    lsl: dict[str, LslSettings] = Field({}, description="streams of markers")
    nidaq: dict[str, NiDaqSettings] = Field({}, description="digital lines")
    python: dict[str, PythonSettings] = Field({}, description="your functions")


_Channel = Annotated[int, Field(ge=0)]


class LabStreamSettings(Section):
    """Streams of LSL, by their names: what `rtrecon lsl` takes in and gives out."""

    name: str = Field("rtrecon", min_length=1, description="of what is given out")
    behavior: dict[str, dict[Measured, _Channel]] = Field(
        {}, description="stream: which of its channels, from 0, measures what"
    )
    edges: dict[str, int] = Field(
        {}, description="stream of markers that are the values of a line: its number"
    )
    notes: list[str] = Field([], description="streams of markers that are written down")
    stimulus: list[str] = Field(
        [], description="streams of markers 'CLIP N': image N of that file is shown"
    )
    clips: str | None = Field(None, description="folder of those video files")
