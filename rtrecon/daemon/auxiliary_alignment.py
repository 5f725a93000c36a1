"""Brings stimulus, behaviour and sync edges onto the time base of the encoder."""

from __future__ import annotations

from collections import deque

from msgspec.structs import replace

from rtrecon.core.types import Array
from rtrecon.daemon.pipeline_output import PipelineOutput
from rtrecon.imaging.timing.aligner import Aligner
from rtrecon.imaging.timing.clock_fit import ClockRegistry
from rtrecon.imaging.timing.stimulus_resize import resize_stimulus
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BehaviorValues

_MAX_PENDING = 64  # messages that are held until the session's first frame

TimedMessage = messages.StimulusFrame | messages.BehaviorSample


class AuxiliaryAlignment:
    """Follows the senders' clocks, and aligns what they send to encoder frames.

    Messages that arrive before the session's first frame are held until it arrives.
    """

    def __init__(self, encoder_rate_hz: float, output: PipelineOutput) -> None:
        self._aligner = Aligner(encoder_rate_hz)
        self._clocks = ClockRegistry()
        self._output = output
        self._has_started = False
        self._pending: deque[tuple[TimedMessage, Array]] = deque(maxlen=_MAX_PENDING)

    def start_session(self, t0_s: float, rate_hz: float) -> None:
        """Start a session of this frame rate, whose first frame was at t0_s (s)."""
        self._aligner.start_session(t0_s, rate_hz)
        self._has_started = True

    def add_frame(self, message: messages.Frame) -> None:
        """Learn from a frame how the clocks relate; align the held messages."""
        self._clocks.add_frame(message)
        while self._pending:
            self.add_timed_message(*self._pending.popleft())

    def add_timed_message(self, message: TimedMessage, image: Array) -> str | None:
        """Take a stimulus frame or behaviour sample; return why it is unusable, if so.

        image: of a stimulus frame, uint8 (height, width); empty for behaviour.
        """
        if not self._has_started:
            self._pending.append((message, image.copy()))
            return None
        t_s = self._find_microscope_time(message)
        if t_s is None:
            kind = type(message).__name__
            return f"a {kind} message has no time; it cannot be aligned"
        if isinstance(message, messages.BehaviorSample):
            self._aligner.add_behavior(t_s, message.behavior_values())
            self._output.record_behavior(replace(message, t=t_s))
            return None
        if not image.size:
            return "a stimulus message has no pixels; it cannot be shown"
        index = self._aligner.encoder_index(t_s)
        if index >= 0:
            self._output.send_stimulus(index, message.clip, resize_stimulus(image))
        return None

    def add_sync_edge(self, message: messages.SyncEdge, t_received: float) -> None:
        """Learn from an edge of a digital line how the clocks relate."""
        self._clocks.add_sync_edge(message, t_received)
        self._output.record_sync_edge(message)

    def latest_behavior(self) -> BehaviorValues:
        """Return the newest value of each quantity; None where there is none."""
        return self._aligner.latest_behavior()

    def _find_microscope_time(self, message: TimedMessage) -> float | None:
        """Return the time on the microscope's clock in s; None if it is unknown."""
        if message.t is not None or message.t_send is None:
            return message.t
        # Once clocks are converted, their error is part of the reported latencies.
        self._output.latency["clock_error"] = self._clocks.error_histogram
        return self._clocks.to_microscope_time(message.session, message.t_send)
