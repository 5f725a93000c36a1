"""Describes what a session without an encoder records, in place of the movie."""

from __future__ import annotations

from rtrecon.core.frame_intervals import format_interval, is_time_lapse
from rtrecon.core.types import Array
from rtrecon.display.playback import ENCODER_RATE_HZ
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR

_MEASURED = {"pupil": "pupil_dilation", "running": "running_speed"}


class SessionContents:
    """What has arrived so far: duration, neurons, clips of the stimulus, behaviour.

    newest_stimulus: uint8 (height, width), None before the first.
    """

    def __init__(self) -> None:
        self.newest_stimulus: Array | None = None
        self._clips = set[str]()
        self._n_neurons = 0
        self._n_encoder_frames = 0
        self._measured = set[str]()

    def update(self, message: messages.PublishedMessage, payload: Array) -> None:
        """Learn from one message."""
        if isinstance(message, messages.AlignedStimulus):
            self.newest_stimulus = payload
            self._clips.add(message.clip)
        elif isinstance(message, messages.Activity):
            self._n_neurons = len(payload)
            self._n_encoder_frames = message.encoder_frame + 1
            values = zip(BEHAVIOR, message.behavior, strict=True)
            self._measured |= {name for name, value in values if value is not None}

    def describe(self, frame_interval_s: float | None = None) -> str:
        """Return lines of text; frame_interval_s: of the microscope, if it is known.

        The encoder frames of a time-lapse are the frames of the microscope.
        """
        rate_hz = 1 / frame_interval_s if frame_interval_s else ENCODER_RATE_HZ
        rate_hz = rate_hz if is_time_lapse(rate_hz) else ENCODER_RATE_HZ
        seconds = self._n_encoder_frames / rate_hz
        is_long = seconds >= 3600
        duration = format_interval(seconds) if is_long else f"{seconds / 60:.1f} min"
        n_clips = len(self._clips)
        stimulus = f"{n_clips} clips" if n_clips != 1 else "1 clip"
        behavior = [
            name if field in self._measured else f"no {name}"
            for name, field in _MEASURED.items()
        ]
        return (
            f"{duration}, {self._n_neurons} neurons\n"
            f"{stimulus if n_clips else 'no stimulus'}, {', '.join(behavior)}"
        )
