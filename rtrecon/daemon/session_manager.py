"""The life of sessions in the daemon: how they begin, run, stall and end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rtrecon.core.types import Array
from rtrecon.daemon.channel_pairing import ReceivedFrame
from rtrecon.daemon.context import DaemonContext
from rtrecon.daemon.pipeline import Pipeline
from rtrecon.protocol import messages
from rtrecon.session.resume_state import find_resumable_session

_MAX_CATCH_UP_S = 20.0  # queued frames may delay the end of a session by this time
_ACTIVE_STATES = ("running", "calibrating", "stalled")  # in which frames are expected


class SessionManager:
    """One session after another; each has a `Pipeline`.

    state: one word for users (starting, waiting, calibrating, running, stalled, idle,
    refused, stopped). pipeline: of the current session. is_ending: no further frame is
    expected for a while.
    """

    def __init__(
        self, context: DaemonContext, receive_results: Callable[[], None]
    ) -> None:
        self.state = "starting"
        self.pipeline: Pipeline | None = None
        self.is_ending = False
        self._context = context
        self._receive_results = receive_results
        self._last_message_s = 0.0

    # -- messages of a session -----------------------------------------------------

    def begin_session(self, start: messages.SessionStart, unit_ids: Array) -> None:
        """End the present session and begin this one.

        unit_ids: the payload of the start, see `messages.SessionStart`.
        """
        context = self._context
        self.catch_up()
        self._end_pipeline()
        context.publisher.begin_session(start.session)
        context.watchdogs.begin_session(start.rate_hz)
        context.backpressure.begin_session()
        self.is_ending = False
        layout = _describe_layout(start)
        try:
            field = context.neurons.select_for_session(start, unit_ids)
            self.pipeline = Pipeline(
                start, field, context.settings, context.publisher, context.recording
            )
        except ValueError as error:
            self.state = "refused"
            sentence = f"session from {start.source}, {layout}: {error}"
            context.events.publish_event("refused", sentence)
            return
        self._resume(self.pipeline)
        context.recording.start(start, field)
        sentence = f"session from {start.source}: {layout}, {len(field.rois)} neurons"
        context.events.publish_event("session", sentence)

    def end_session(self, message: messages.SessionEnd) -> None:
        """Learn that the sender has ended the session; frames may still follow."""
        self.is_ending = True
        sentence = (
            f"the sender ended ({message.reason}): {message.frames} frames sent, "
            f"{message.dropped} dropped"
        )
        self._context.events.publish_event("end", sentence, value=message.frames)

    def add_message(
        self, message: messages.IncomingMessage, payload: Array, t_received: float
    ) -> None:
        """Give a frame, stimulus, behaviour or sync message to the pipeline."""
        pipeline, refusal = self.pipeline, None
        if pipeline is None:
            return
        if isinstance(message, messages.Frame):
            self.is_ending = False
            self._context.watchdogs.mark_frame(time.monotonic())
            pipeline.add_frame(ReceivedFrame(message, payload, t_received))
            self.state = "calibrating"  # until `process_pending` finds otherwise
        elif isinstance(message, messages.SyncEdge):
            pipeline.auxiliary.add_sync_edge(message, t_received)
        elif isinstance(message, messages.BehaviorSample | messages.StimulusFrame):
            refusal = pipeline.auxiliary.add_timed_message(message, payload)
        if refusal:
            self._context.events.report_refusal(refusal)

    def mark_message(self) -> None:
        """Learn that a message arrived: the session is not silent."""
        self._last_message_s = time.monotonic()

    def mark_frames_held_back(self) -> None:
        """Learn that frames wait at the daemon: neither silence nor a stall."""
        self.mark_message()
        self._context.watchdogs.mark_frame(self._last_message_s)

    # -- progress ------------------------------------------------------------------

    def should_hold_frames(self) -> bool:
        """Return whether frames should wait at the socket (deterministic runs only)."""
        if self.pipeline is None:
            return False
        is_building = self.pipeline.planes.is_building_reference
        sent_range = self.pipeline.output.sent_range
        return self._context.backpressure.should_wait(is_building, sent_range)

    def has_queued_frames(self) -> bool:
        """Return whether frames are queued that can be processed now."""
        planes = self.pipeline.planes if self.pipeline else None
        return bool(planes and planes.n_queued and not planes.is_calibrating)

    def process_pending(self) -> None:
        """Process queued frames, report notices, and update the state."""
        if self.pipeline is None:
            return
        planes = self.pipeline.planes
        if planes.is_building_reference or not self.should_hold_frames():
            self.pipeline.process_pending(time.monotonic(), is_ending=self.is_ending)
        for notice in planes.take_notices():
            self._context.events.publish_event("reference", notice)
        if self.is_ending and not planes.n_queued:
            self.state = "idle"
        elif self.state == "calibrating" and not planes.is_calibrating:
            self.state = "running"

    def catch_up(self) -> None:
        """Process the queued frames before the end, for some seconds at most."""
        self.is_ending = True
        deadline_s = time.monotonic() + _MAX_CATCH_UP_S
        while self.pipeline and self.pipeline.planes.n_queued:
            self.process_pending()
            self._receive_results()  # frames may wait for the inverter
            if time.monotonic() > deadline_s:
                return

    def check_silence(self, now_s: float) -> None:
        """End the session when nothing has arrived for `network.idle_timeout_s`."""
        timeout_s = self._context.settings.network.idle_timeout_s
        is_active = self.state in _ACTIVE_STATES and not self.is_ending
        if is_active and now_s - self._last_message_s > timeout_s:
            self.is_ending = True
            sentence = f"no message for {timeout_s:g} s; the session counts as ended"
            self._context.events.publish_event("silence", sentence)

    def check_stalls(self, now_s: float) -> None:
        """Report frames or an inverter that stalled or resumed."""
        watchdogs = self._context.watchdogs
        if self.is_ending:
            watchdogs.frames.pause()
        for name, sentence in watchdogs.take_notices(now_s):
            self._context.events.publish_event(name, sentence)
        if watchdogs.frames.is_reported:
            self.state = "stalled"

    # -- recording -----------------------------------------------------------------

    def set_recording(self, is_enabled: bool) -> None:
        """Record from now on, or no longer."""
        recording = self._context.recording
        recording.is_enabled = is_enabled
        if not is_enabled:
            recording.stop()
        elif self.pipeline:
            recording.start(self.pipeline.start, self.pipeline.field)

    def _resume(self, pipeline: Pipeline) -> None:
        """Continue where an earlier daemon stopped in the same session."""
        start, folder = pipeline.start, Path(self._context.settings.recording.folder)
        earlier = find_resumable_session(folder, start.session, len(start.planes))
        if earlier is not None:
            pipeline.planes.resume(earlier)

    def _end_pipeline(self) -> None:
        self._context.recording.stop()
        if self.pipeline:
            self.pipeline.close()
        self.pipeline = None


def _describe_layout(start: messages.SessionStart) -> str:
    if start.has_unit_rates:
        return f"rates at {start.rate_hz:g} Hz"
    lines, pixels = start.shape
    planes = f"{len(start.planes)} planes of " if len(start.planes) > 1 else ""
    channels = f", channels {start.channels}" if len(start.channels) > 1 else ""
    return f"{planes}{lines} x {pixels} at {start.rate_hz:g} Hz{channels}"
