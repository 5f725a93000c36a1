"""The daemon's messages as LSL streams."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from rtrecon.core.types import Array
from rtrecon.interfaces.lsl import import_pylsl
from rtrecon.metrics.live_metrics import quality_series
from rtrecon.protocol import messages

QUALITY_CHANNELS = tuple(series.name for series in quality_series())


class LslOutlets:
    """`NAME activity` (a channel per neuron), `NAME quality`, `NAME events` (JSON).

    The time of an activity sample is when its newest frame was received. Unknown values
    are NaN.
    """

    def __init__(self, name: str, rate_hz: float) -> None:
        self._lsl = import_pylsl()
        self._name, self._rate_hz = name, rate_hz
        self._activity: Any = None
        self._n_neurons = 0
        self._quality = self._open_outlet(
            "quality", len(QUALITY_CHANNELS), 0.0, labels=QUALITY_CHANNELS
        )
        self._events = self._open_outlet("events", 1, 0.0, self._lsl.cf_string)

    def push_message(self, message: messages.PublishedMessage, payload: Array) -> None:
        """Write a published message to its stream; others are ignored."""
        lsl_offset_s = self._lsl.local_clock() - time.time()
        if isinstance(message, messages.Activity) and len(payload):
            self._push_activity(payload, message.t_frame + lsl_offset_s)
        elif isinstance(message, messages.Quality):
            values = [message.metrics.get(name, np.nan) for name in QUALITY_CHANNELS]
            self._quality.push_sample(values, message.t + lsl_offset_s)
        elif isinstance(message, messages.Event):
            fields = ("name", "message", "rule", "value")
            event = {field: getattr(message, field) for field in fields}
            self._events.push_sample([json.dumps(event)], message.t + lsl_offset_s)

    def _push_activity(self, activity: Array, lsl_time_s: float) -> None:
        if len(activity) != self._n_neurons:
            self._n_neurons = len(activity)
            self._activity = self._open_outlet(
                "activity", self._n_neurons, self._rate_hz
            )
        self._activity.push_sample(activity.tolist(), lsl_time_s)

    def _open_outlet(
        self,
        suffix: str,
        n_channels: int,
        rate_hz: float,
        channel_format: int | None = None,
        labels: tuple[str, ...] = (),
    ) -> Any:
        lsl, name = self._lsl, f"{self._name} {suffix}"
        if channel_format is None:
            channel_format = lsl.cf_float32
        info = lsl.StreamInfo(
            name, suffix.title(), n_channels, rate_hz, channel_format, name
        )
        if labels:
            info.set_channel_labels(list(labels))
        return lsl.StreamOutlet(info)
