"""Settings of what enters and leaves the computer: addresses, keys, LSL streams."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Self

from pydantic import Field, model_validator

from rtrecon.config.section import Section, SettingsPath
from rtrecon.protocol.behavior import BehaviorName


class NetworkSettings(Section):
    """Where the daemon receives and publishes messages, and who may connect."""

    frames: str = Field(
        "tcp://127.0.0.1:5560",
        description="address at which the daemon receives frames, stimulus and "
        "behaviour (ZeroMQ PULL; senders PUSH)",
    )
    tcp: str = Field(
        "tcp://127.0.0.1:5561",
        description="address at which the daemon receives the same messages as framed "
        "TCP, for senders without ZeroMQ; 'off' = do not open it",
    )
    publish: str = Field(
        "tcp://127.0.0.1:5562",
        description="address at which the daemon publishes its results (ZeroMQ PUB)",
    )
    control: str = Field(
        "tcp://127.0.0.1:5563",
        description="address at which the daemon answers requests in JSON (ZeroMQ "
        "ROUTER): status, mark, record, reference, stop",
    )
    results: str = Field(
        "tcp://127.0.0.1:5564",
        description="address at which the daemon receives the results of its worker "
        "processes (ZeroMQ PULL)",
    )
    idle_timeout_s: float = Field(
        10.0,
        gt=0,
        description="time in s without any message after which the daemon treats the "
        "session as ended; never less than six frame intervals of a time-lapse",
    )
    stall_timeout_s: float = Field(
        1.5,
        gt=0,
        description="time in s without a frame after which the daemon reports that the "
        "sender has stalled; never less than three frame periods",
    )
    aux_rate_limit_hz: float = Field(
        10000.0,
        gt=0,
        description="largest number of stimulus, behaviour and sync messages per "
        "second that the daemon accepts from one sender",
    )
    health_interval_s: float = Field(
        1.0,
        gt=0,
        le=1.0,
        description="time in s between two health messages of the daemon, and of each "
        "of its worker processes; 2 s without one count as silence",
    )
    keys: SettingsPath | None = Field(
        None,
        description="folder of encryption keys, made by 'rtrecon keys FOLDER'; not set "
        "= no encryption, and connections from this computer only",
        examples=["keys"],
    )
    token: SettingsPath | None = Field(
        None,
        description="file with the password for framed TCP; not set = the token in the "
        "key folder, if there is one",
        examples=["keys/token"],
    )

    @model_validator(mode="after")
    def _require_different_addresses(self) -> Self:
        """Refuse one address for two purposes; the system may choose a port (`*`)."""
        names = ("frames", "tcp", "publish", "control", "results")
        for first, second in combinations(names, 2):
            address = getattr(self, first)
            if address == getattr(self, second) and not address.endswith((":*", ":0")):
                raise ValueError(
                    f"{first} and {second} are both {address!r}; give each a port of "
                    "its own"
                )
        return self


_Channel = Annotated[int, Field(ge=0)]


class LslSettings(Section):
    """Streams of the Lab Streaming Layer that 'rtrecon lsl' reads and writes."""

    name: str = Field(
        "rtrecon",
        min_length=1,
        description="prefix of the names of the streams that rtrecon writes",
    )
    behavior: dict[str, dict[BehaviorName, _Channel]] = Field(
        {},
        description="streams of behaviour: for each stream, which quantity is in which "
        "of its channels (counted from 0)",
        examples=[{"Pupil": {"pupil_dilation": 0, "pupil_x": 1, "pupil_y": 2}}],
    )
    edges: dict[str, int] = Field(
        {},
        description="marker streams that carry the values of a digital line: for each "
        "stream, the number of the line",
        examples=[{"TTL": 1}],
    )
    notes: list[str] = Field(
        [],
        description="marker streams whose text is written into the recording",
        examples=[["Notes"]],
    )
    stimulus: list[str] = Field(
        [],
        description="marker streams of the form 'CLIP N': image N of the video file "
        "CLIP is on the screen",
        examples=[["Stimulus"]],
    )
    clips: SettingsPath | None = Field(
        None,
        description="folder of the video files that 'stimulus' names; not set = no "
        "stimulus is read from LSL",
        examples=["clips"],
    )
