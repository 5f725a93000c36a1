"""What the daemon publishes, as streams of LSL."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from rtrecon.core.types import Array
from rtrecon.interfaces.lsl import library
from rtrecon.protocol import messages

QUALITY = (
    "activity_correlation",
    "null_correlation",
    "pixel_correlation",
    "null_pixel_correlation",
)


class Outlets:
    """`NAME activity` (a channel per neuron), `NAME quality` and `NAME events` (JSON).

    Activity carries the time at which its newest frame was received; what is not known
    is NaN.
    """

    def __init__(self, name: str, rate_hz: float) -> None:
        self._lsl = library()
        self._name, self._rate_hz = name, rate_hz
        self._activity: Any = None
        self._n_neurons = 0
        self._quality = self._outlet("quality", len(QUALITY), 0.0, labels=QUALITY)
        self._events = self._outlet("events", 1, 0.0, self._lsl.cf_string)

    def take(self, message: messages.Published, payload: Array) -> None:
        """Give out what was published."""
        later_s = self._lsl.local_clock() - time.time()
        if isinstance(message, messages.Activity) and len(payload):
            if len(payload) != self._n_neurons:
                self._n_neurons = len(payload)
                self._activity = self._outlet(
                    "activity", self._n_neurons, self._rate_hz
                )
            self._activity.push_sample(payload.tolist(), message.t_frame + later_s)
        elif isinstance(message, messages.Quality):
            known = [getattr(message, name) for name in QUALITY]
            values = [np.nan if value is None else value for value in known]
            self._quality.push_sample(values, message.t + later_s)
        elif isinstance(message, messages.Event):
            said = {name: getattr(message, name) for name in ("name", "message")}
            said |= {"rule": message.rule, "value": message.value}
            self._events.push_sample([json.dumps(said)], message.t + later_s)

    def _outlet(
        self,
        what: str,
        channels: int,
        rate_hz: float,
        kind: int | None = None,
        labels: tuple[str, ...] = (),
    ) -> Any:
        lsl = self._lsl
        name = f"{self._name} {what}"
        form = lsl.cf_float32 if kind is None else kind
        info = lsl.StreamInfo(name, what.title(), channels, rate_hz, form, name)
        if labels:
            info.set_channel_labels(list(labels))
        return lsl.StreamOutlet(info)
