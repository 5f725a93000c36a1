"""Settings of the closed loop: rules on the results, and the outputs they switch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rtrecon.config.section import FunctionPath, Section, SettingsPath


class RuleSettings(Section):
    """A rule: when its condition holds, it publishes an event and switches outputs."""

    name: str = Field(
        min_length=1,
        max_length=64,
        description="name of the rule in events and in the recording",
        examples=["lost"],
    )
    when: str = Field(
        description="condition: a published value, < or >, and a number",
        examples=["quality.activity_correlation < 0.1"],
    )
    for_s: float = Field(
        0.0,
        ge=0,
        description="time in s for which the condition must hold before the rule fires",
    )
    until: float | None = Field(
        None,
        description="level that the value must cross back before the rule can fire "
        "again (hysteresis); not set = the level in 'when'",
        examples=[0.2],
    )
    refractory_s: float = Field(
        0.0, ge=0, description="shortest time between two firings, in s"
    )
    outputs: list[str] = Field(
        [],
        description="names of the outputs that the rule switches; the event is "
        "published in any case",
        examples=[["ttl"]],
    )
    dry_run: bool = Field(
        False, description="publish events of this rule, but switch no output"
    )


class SerialSettings(Section):
    """An output through a serial port: a TTL pulse on one of its lines, or a byte."""

    port: str = Field(
        description="name of the port (COM3, /dev/ttyUSB0) or a URL of pyserial",
        examples=["COM3"],
    )
    signal: Literal["byte", "rts", "dtr"] = Field(
        "byte", description="send 'byte', or pulse the line RTS or DTR of the port"
    )
    byte: int = Field(1, ge=0, le=255, description="value of the byte that is sent")
    pulse_ms: float = Field(
        5.0, gt=0, le=1000, description="length of a pulse of RTS or DTR, in ms"
    )
    baud: int = Field(115200, gt=0, description="baud rate")


class LslMarkerSettings(Section):
    """An output as a marker in a stream of the Lab Streaming Layer."""

    stream: str = Field(
        "rtrecon",
        min_length=1,
        description="name of the stream; each marker is the name of the rule",
    )


class NiDaqSettings(Section):
    """An output through a digital line of a National Instruments device."""

    line: str = Field(
        description="name of the digital line", examples=["Dev1/port0/line0"]
    )
    pulse_ms: float = Field(
        5.0, gt=0, le=1000, description="length of the pulse, in ms"
    )


class PythonSettings(Section):
    """An output as a call of your own Python function, in a process of its own."""

    function: FunctionPath = Field(
        description="'FILE.py:FUNCTION' or 'MODULE:FUNCTION'; it is called with the "
        "event",
        examples=["reaction.py:flash"],
    )
    deadline_s: float = Field(
        0.5,
        gt=0,
        description="time in s after which a call is stopped, with its process",
    )
    max_restarts: int = Field(
        3, ge=0, description="how often its process is started again after that"
    )


class MicroManagerSettings(Section):
    """An output that asks the program that acquires with Micro-Manager for more.

    The rule that switches it needs a refractory time.
    """

    light_budget_s: float = Field(
        gt=0,
        description="exposure time in s that all requests together may add to the "
        "plan, at any stage position, in one session",
        examples=[30.0],
    )
    interval_s: float | None = Field(
        None,
        gt=0,
        description="image so often, in s, for duration_s; not set = once, at once",
        examples=[60.0],
    )
    duration_s: float | None = Field(
        None, gt=0, description="how long, in s", examples=[1800.0]
    )
    channel: str = Field(
        "",
        description="image this channel, too; one of --channels or --on-request",
        examples=["Cy5"],
    )
    position: str = Field(
        "",
        description="name of the stage position to image; not set = all",
        examples=["B"],
    )
    refocus: bool = Field(
        False, description="search for the sharpest plane first, and stay there"
    )

    @model_validator(mode="after")
    def _require_both_times(self) -> MicroManagerSettings:
        if (self.interval_s is None) != (self.duration_s is None):
            raise ValueError("interval_s and duration_s need each other; give both")
        if self.interval_s and self.duration_s and self.duration_s < self.interval_s:
            raise ValueError(
                f"duration_s = {self.duration_s:g} must not be shorter than interval_s "
                f"= {self.interval_s:g}"
            )
        return self


class ClosedLoopSettings(Section):
    """Rules on published values, and the outputs that they switch."""

    dry_run: bool = Field(
        False, description="publish the events of all rules, but switch no output"
    )
    groups: dict[str, list[int]] = Field(
        {},
        description="groups of neurons, by name: their ids, for conditions such as "
        "mean(left) > 2",
        examples=[{"left": [3, 14, 15]}],
    )
    targets: dict[str, SettingsPath] = Field(
        {},
        description="clips, by name: video files, for conditions such as "
        "similarity(grating) > 0.3",
        examples=[{"grating": "clips/grating.mp4"}],
    )
    rules: list[RuleSettings] = Field([], description="the rules")
    serial: dict[str, SerialSettings] = Field(
        {}, description="outputs through serial ports, by name"
    )
    lsl: dict[str, LslMarkerSettings] = Field(
        {}, description="outputs as LSL markers, by name"
    )
    nidaq: dict[str, NiDaqSettings] = Field(
        {}, description="outputs through NI-DAQ lines, by name"
    )
    python: dict[str, PythonSettings] = Field(
        {}, description="outputs as Python functions, by name"
    )
    micromanager: dict[str, MicroManagerSettings] = Field(
        {}, description="requests to the program that acquires, by name"
    )

    @model_validator(mode="after")
    def _require_refractory_times(self) -> ClosedLoopSettings:
        for rule in self.rules:
            asked = [name for name in rule.outputs if name in self.micromanager]
            if asked and not rule.refractory_s > 0:
                raise ValueError(
                    f"rule '{rule.name}' asks for light on the cells (output "
                    f"'{asked[0]}'): give it refractory_s, the shortest time between "
                    "two requests in s"
                )
        return self
