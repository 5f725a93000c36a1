"""Brings stimulus, behaviour and sync edges onto the time base of the encoder."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from msgspec.structs import replace

from rtrecon.config import Settings
from rtrecon.core.types import Array
from rtrecon.daemon.pipeline_output import PipelineOutput
from rtrecon.imaging.timing.aligner import Aligner
from rtrecon.imaging.timing.arrival_clock import ArrivalClocks, TimedMessage
from rtrecon.imaging.timing.clock_fit import ClockRegistry
from rtrecon.imaging.timing.marked_light import MarkedLight
from rtrecon.imaging.timing.screen_timing import ScreenTiming
from rtrecon.imaging.timing.stimulus_hold import ShownPicture, StimulusHold
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BehaviorValues
from rtrecon.stimulus_space.fit_frame import find_misfit, fit_stimulus
from rtrecon.stimulus_space.space import StimulusSpace

_MAX_PENDING = 64  # messages that are held until the session's first frame
# A message is held until its sender's clock has been judged, but not longer, and there
# are never more than so many.
_MAX_HOLD_S, _MAX_HELD = 5.0, 4096


class _HeldMessage(NamedTuple):
    message: TimedMessage
    image: Array
    t_arrival_s: float


class AuxiliaryAlignment:
    """Follows the senders' clocks, and aligns what they send to encoder frames.

    Messages that arrive before the session's first frame are held until it arrives;
    those of a sender whose clock seems wrong, until that is certain. corrects_clocks:
    whether a wrong clock is corrected by when messages arrive. space: of the stimuli.
    light: which frames are marked by digital lines. screen: when pictures appear, where
    there is a photodiode.
    """

    def __init__(
        self,
        encoder_rate_hz: float,
        output: PipelineOutput,
        *,
        corrects_clocks: bool,
        space: StimulusSpace,
        settings: Settings,
    ) -> None:
        self._space = space
        self._aligner = Aligner(encoder_rate_hz)
        self._hold = StimulusHold(encoder_rate_hz)
        self._clocks = ClockRegistry()
        self._arrivals = ArrivalClocks() if corrects_clocks else None
        self.light = MarkedLight(settings.light)
        has_photodiode = settings.screen.photodiode_line is not None
        self.screen = ScreenTiming(settings.screen) if has_photodiode else None
        if self.screen:
            output.latency["monitor_lag"] = self.screen.lag
        self._output = output
        self._has_started = False
        self._pending: deque[_HeldMessage] = deque(maxlen=_MAX_PENDING)
        self._held: deque[_HeldMessage] = deque()

    def start_session(self, t0_s: float, rate_hz: float) -> None:
        """Start a session of this frame rate, whose first frame was at t0_s (s)."""
        self._aligner.start_session(t0_s, rate_hz)
        self._has_started = True

    def add_frame(self, message: messages.Frame, t_arrival_s: float) -> None:
        """Learn from a frame how the clocks relate; align what was held for it."""
        self._clocks.add_frame(message)
        if self._arrivals:
            self._arrivals.add_frame(message, t_arrival_s)
        while self._pending:
            self._hold_or_align(self._pending.popleft())
        self.release_held(t_arrival_s)

    def add_timed_message(
        self, message: TimedMessage, image: Array, t_arrival_s: float
    ) -> str | None:
        """Take a stimulus frame or behaviour sample; return why it is unusable, if so.

        image: of a stimulus frame, (height, width); empty for behaviour.
        t_arrival_s: when it arrived, on a clock that is never set.
        """
        if fault := _find_fault(message, image, self._space):
            return fault
        if self._arrivals:
            self._arrivals.add_message(message, t_arrival_s)
        received = _HeldMessage(message, image, t_arrival_s)
        if self._has_started:
            self.release_held(t_arrival_s)
            self._hold_or_align(received)
        else:
            self._pending.append(received._replace(image=image.copy()))
        return None

    def add_sync_edge(self, message: messages.SyncEdge, t_received: float) -> None:
        """Learn from an edge of a digital line how the clocks relate."""
        self._clocks.add_sync_edge(message, t_received)
        self._output.record_sync_edge(message)
        t_s = self._find_edge_time(message)
        if t_s is None:
            return
        self.light.add_edge(message.line, message.value, t_s)
        if self.screen and message.line == self.screen.line and message.t is not None:
            self.screen.add_edge(t_s)
            self._record_onsets()

    def release_held(self, now_s: float, *, is_ending: bool = False) -> None:
        """Align the held messages whose sender's clock is known by now.

        is_ending: align all, as nothing more will be known.
        """
        if not self._held:
            return
        held, self._held = self._held, deque()
        for item in held:
            is_overdue = now_s - item.t_arrival_s > _MAX_HOLD_S
            if is_ending or is_overdue or not self._is_undecided(item.message):
                self._align(item.message, item.image)
            else:
                self._held.append(item)

    def latest_behavior(self) -> BehaviorValues:
        """Return the newest value of each quantity; None where there is none."""
        return self._aligner.latest_behavior()

    def take_notices(self) -> list[str]:
        """Return the sentences about clocks since the last call."""
        return self._arrivals.take_notices() if self._arrivals else []

    def take_screen_notices(self) -> list[str]:
        """Return the sentences about screen and light since the last call."""
        of_screen = self.screen.take_notices() if self.screen else []
        return of_screen + self.light.take_notices()

    def _hold_or_align(self, item: _HeldMessage) -> None:
        if not self._is_undecided(item.message):
            self._align(item.message, item.image)
            return
        self._held.append(item._replace(image=item.image.copy()))
        if len(self._held) > _MAX_HELD:
            oldest = self._held.popleft()
            self._align(oldest.message, oldest.image)

    def _is_undecided(self, message: TimedMessage) -> bool:
        if message.t is not None or self._arrivals is None:
            return False
        if self._clocks.has_edges(message.session):
            return False
        return self._arrivals.is_undecided(message.session)

    def _align(self, message: TimedMessage, image: Array) -> None:
        t_s = self._find_microscope_time(message)
        if t_s is None:  # no frame has arrived, so there is nothing to align to
            return
        if isinstance(message, messages.BehaviorSample):
            self._aligner.add_behavior(t_s, message.behavior_values())
            self._output.record_behavior(replace(message, t=t_s))
            return
        if self.screen:
            self.screen.add_picture(message.clip, message.index, t_s)
            self._record_onsets()
            t_s += self.screen.lag_s or 0.0
        encoder_frame = self._aligner.find_encoder_frame(t_s)
        if encoder_frame < 0:
            return
        image = fit_stimulus(image, self._space)
        picture = ShownPicture(encoder_frame, message.clip, image)
        for shown in self._hold.add_picture(message.session, picture):
            self._output.send_stimulus(shown.encoder_frame, shown.clip, shown.image)

    def _find_edge_time(self, message: messages.SyncEdge) -> float | None:
        """Return when an edge was, on the microscope's clock; None if unknown."""
        if message.t is not None:
            return message.t
        return self._clocks.to_microscope_time(message.session, message.t_send)

    def _record_onsets(self) -> None:
        assert self.screen is not None
        for onset in self.screen.take_onsets():
            self._output.record_onset(onset)

    def _find_microscope_time(self, message: TimedMessage) -> float | None:
        """Return the time on the microscope's clock in s; None if it is unknown."""
        if message.t is not None or message.t_send is None:
            return message.t
        session, t_send = message.session, message.t_send
        # Once clocks are converted, their error is part of the reported latencies.
        self._output.latency["clock_error"] = self._clocks.error_histogram
        if self._arrivals and not self._clocks.has_edges(session):
            t_s = self._arrivals.to_microscope_time(session, t_send)
            if t_s is not None:
                return t_s
        return self._clocks.to_microscope_time(session, t_send)


def _find_fault(
    message: TimedMessage, image: Array, space: StimulusSpace
) -> str | None:
    if message.t is None and message.t_send is None:
        kind = type(message).__name__
        return f"a {kind} message has no time; it cannot be aligned"
    if not isinstance(message, messages.StimulusFrame):
        return None
    if not image.size:
        return "a stimulus message has no pixels; it cannot be shown"
    return find_misfit(message.space, image, space)
