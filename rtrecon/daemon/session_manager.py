"""The life of sessions in the daemon: how they begin, run, stall and end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from rtrecon.config import Settings
from rtrecon.core.frame_intervals import (
    describe_rate,
    extend_timeout,
    format_interval,
)
from rtrecon.core.types import Array
from rtrecon.daemon.channel_pairing import ReceivedFrame
from rtrecon.daemon.context import DaemonContext
from rtrecon.daemon.pipeline import Pipeline
from rtrecon.daemon.time_lapse import adapt_settings
from rtrecon.protocol import messages
from rtrecon.session.resume_state import (
    find_resumable_session,
    load_newest_frame_number,
)

_MAX_REFUSALS = 64  # refused sessions that are remembered
IDLE_INTERVALS = 6.0  # a time-lapse is silent for so many frame intervals at least
MAX_CATCH_UP_S = 20.0  # queued frames may delay the end of a session by this time
_ACTIVE_STATES = ("running", "calibrating", "stalled")  # in which frames are expected


class SessionManager:
    """One session after another; each has a `Pipeline`.

    state: one word for users (starting, waiting, calibrating, running, stalled, idle,
    refused, stopped). pipeline: of the current session. is_ending: no further frame is
    expected for a while. n_unprocessed: images that were still queued when the session
    had to end. receive_results: takes what the inverter has sent. on_session_end:
    called at the end of a session or its recording, with complete counts.
    """

    def __init__(
        self, context: DaemonContext, receive_results: Callable[[], None]
    ) -> None:
        self.state = "starting"
        self.pipeline: Pipeline | None = None
        self.is_ending = False
        self.n_unprocessed = 0
        self.on_session_end: Callable[[], None] = lambda: None
        self._context = context
        self.receive_results = receive_results
        self._last_message_s = 0.0
        self._newest_recorded: int | None = None  # frame of the daemon before
        self._refusals: dict[str, str] = {}  # why sessions were refused, by their id

    # -- messages of a session -----------------------------------------------------

    def begin_session(self, start: messages.SessionStart, unit_ids: Array) -> None:
        """Begin this session; `finish_session` has ended the one before.

        unit_ids: the payload of the start, see `messages.SessionStart`.
        """
        context = self._context
        self._end_pipeline()
        self._newest_recorded = None
        self.n_unprocessed = context.errors.n_failed = 0
        context.publisher.begin_session(start.session)
        context.watchdogs.begin_session(start.rate_hz)
        context.backpressure.begin_session()
        context.events.losses.begin_session(start.rate_hz)
        self.is_ending = False
        self.state = "waiting"  # for its first frame; "idle" is of the session before
        layout = _describe_layout(start)
        try:
            settings, notices = self._adapt_settings(start)
            field = context.neurons.select_for_session(start, unit_ids)
            self.pipeline = Pipeline(
                start,
                field,
                settings,
                context.publisher,
                context.recording,
                context.errors,
            )
        except Exception as error:
            if not isinstance(error, ValueError):
                context.errors.report("beginning a session", error)
            self.state = "refused"
            sentence = f"session from {start.source}, {layout}: {error}"
            context.events.publish_event("refused", sentence)
            self.remember_refusal(start.session, str(error))
            return
        with context.errors.catch("resuming the session"):
            self._resume(self.pipeline)
        context.recording.start(start, field, settings, self.pipeline.dish)
        content = f"{len(field.rois)} neurons"
        if dish := self.pipeline.dish:
            content = f"neurons in a dish at {dish.um_per_px:g} um per pixel"
        sentence = f"session from {start.source}: {layout}, {content}"
        context.events.publish_event("session", sentence)
        for notice in notices:
            context.events.publish_event("settings", notice)

    def _adapt_settings(
        self, start: messages.SessionStart
    ) -> tuple[Settings, list[str]]:
        """Return the settings of a session, and what differs for a time-lapse."""
        context = self._context
        has_encoder = context.neurons.card is not None
        if start.has_unit_rates:
            return context.settings, []
        return adapt_settings(context.settings, start.rate_hz, has_encoder=has_encoder)

    def finish_session(self) -> None:
        """Process what the present session has queued, and report its last counts."""
        self.catch_up()
        if self.pipeline:
            self.on_session_end()

    def remember_refusal(self, session: str, sentence: str) -> None:
        """Remember why a session was refused, for a sender that asks."""
        if len(self._refusals) >= _MAX_REFUSALS:
            del self._refusals[next(iter(self._refusals))]
        self._refusals[session] = sentence

    def find_refusal(self, session: str) -> str:
        """Return why this session was refused; empty if it was not."""
        return self._refusals.get(session, "")

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
        self._context.watchdogs.mark_message(message, time.monotonic())
        if isinstance(message, messages.Frame):
            self.is_ending = False
            self._report_frames_between(message)
            with self._context.errors.catch("processing a frame", n_failed=1):
                pipeline.add_frame(ReceivedFrame(message, payload, t_received))
            self._context.watchdogs.set_frame_rate(pipeline.planes.rate_hz)
            self._context.recording.set_frame_rate(pipeline.planes.rate_hz)
            self.state = "calibrating"  # until `process_pending` finds otherwise
        elif isinstance(message, messages.SyncEdge):
            with self._context.errors.catch("using a sync message"):
                pipeline.auxiliary.add_sync_edge(message, t_received)
        elif isinstance(message, messages.BehaviorSample | messages.StimulusFrame):
            kind = messages.message_type(message)
            with self._context.errors.catch(f"using a {kind} message"):
                refusal = pipeline.auxiliary.add_timed_message(
                    message, payload, time.monotonic()
                )
        if refusal:
            self._context.events.report_refusal(refusal)

    def mark_message(self) -> None:
        """Learn that a message arrived: the session is not silent."""
        self._last_message_s = time.monotonic()

    def mark_frames_held_back(self) -> None:
        """Learn that frames wait at the daemon: neither silence nor a stall."""
        self.mark_message()
        self._context.watchdogs.mark_frames_held_back(self._last_message_s)

    # -- progress ------------------------------------------------------------------

    def should_hold_frames(self) -> bool:
        """Return whether frames should wait at the socket.

        They do where a queue is full and the sender can wait, and in deterministic
        runs.
        """
        if self.pipeline is None:
            return False
        is_full = self.pipeline.start.can_wait and self.pipeline.planes.is_queue_full
        return (
            is_full or self._must_wait_for_recorder() or self._must_wait_for_inverter()
        )

    def count_queued_images(self) -> int:
        """Return how many images were received but not processed yet."""
        if self.pipeline is None:
            return 0
        return self.pipeline.planes.n_queued_images + self.pipeline.pairing.n_pending

    def _must_wait_for_recorder(self) -> bool:
        can_wait = self.pipeline is not None and self.pipeline.start.can_wait
        return can_wait and self._context.recording.is_behind

    def _must_wait_for_inverter(self) -> bool:
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
        may_process = planes.is_building_reference or not self._must_wait_for_inverter()
        if may_process and not self._must_wait_for_recorder():
            self.pipeline.process_pending(time.monotonic(), is_ending=self.is_ending)
        for notice in planes.take_notices():
            self._context.events.publish_event("reference", notice)
        for sentence in self.pipeline.take_dish_sentences():
            self._context.events.log(sentence)
        for notice in self.pipeline.auxiliary.take_notices():
            self._context.events.publish_event("clock", notice)
        for notice in self.pipeline.auxiliary.take_screen_notices():
            self._context.events.publish_event("screen", notice)
        if self.is_ending and not planes.n_queued:
            self.state = "idle"
        elif self.state == "calibrating" and not planes.is_calibrating:
            self.state = "running"

    def catch_up(self, deadline_s: float | None = None) -> None:
        """Process the queued frames before the end, for some seconds at most.

        deadline_s: until when, on `time.monotonic`; None = for `MAX_CATCH_UP_S`. What
        is still queued then is counted as not processed.
        """
        self.is_ending = True
        if deadline_s is None:
            deadline_s = time.monotonic() + MAX_CATCH_UP_S
        while self.pipeline and self.pipeline.planes.n_queued:
            self.process_pending()
            self.receive_results()  # frames may wait for the inverter
            if time.monotonic() > deadline_s:
                self._report_unprocessed()
                return

    def _report_unprocessed(self) -> None:
        self.n_unprocessed = self.count_queued_images()
        sentence = (
            f"the session had to end with {self.n_unprocessed} frames that were not "
            f"processed within {MAX_CATCH_UP_S:g} s"
        )
        self._context.events.publish_event("gap", sentence, value=self.n_unprocessed)

    def check_silence(self, now_s: float) -> None:
        """End the session when nothing has arrived for `network.idle_timeout_s`.

        A time-lapse has a longer time, which depends on its interval.
        """
        timeout_s = self._context.settings.network.idle_timeout_s
        if self.pipeline is not None:
            rate_hz = self.pipeline.planes.rate_hz
            timeout_s = extend_timeout(timeout_s, rate_hz, IDLE_INTERVALS)
        is_active = self.state in _ACTIVE_STATES and not self.is_ending
        if is_active and now_s - self._last_message_s > timeout_s:
            self.is_ending = True
            sentence = (
                f"no message for {format_interval(timeout_s)}; the session counts as "
                "ended"
            )
            self._context.events.publish_event("silence", sentence)

    def check_stalls(self, now_s: float) -> None:
        """Report what stalled, resumed or was lost, and a lost field."""
        watchdogs, events = self._context.watchdogs, self._context.events
        if self.is_ending:
            watchdogs.pause_session()
        for name, sentence in watchdogs.take_notices(now_s):
            events.publish_event(name, sentence)
        if self.pipeline:
            for sentence in self.pipeline.rejections.take_notices():
                events.publish_event("field", sentence)
        events.report_ended_losses(now_s)
        if watchdogs.frames.is_reported:
            self.state = "stalled"

    # -- recording -----------------------------------------------------------------

    def set_recording(self, is_enabled: bool) -> None:
        """Record from now on, or no longer."""
        recording = self._context.recording
        recording.is_enabled = is_enabled
        if not is_enabled:
            self.on_session_end()
            recording.stop()
        elif self.pipeline:
            pipeline = self.pipeline
            recording.start(
                pipeline.start, pipeline.field, pipeline.settings, pipeline.dish
            )

    def _resume(self, pipeline: Pipeline) -> None:
        """Continue where an earlier daemon stopped in the same session."""
        start, folder = pipeline.start, Path(self._context.settings.recording.folder)
        earlier = find_resumable_session(
            folder,
            start.session,
            len(start.planes),
            has_reference=pipeline.dish is None,
        )
        if earlier is not None:
            self._newest_recorded = load_newest_frame_number(earlier)
            pipeline.planes.resume(earlier)

    def _report_frames_between(self, frame: messages.Frame) -> None:
        """Report once how many frames no daemon received around a restart."""
        newest, self._newest_recorded = self._newest_recorded, None
        n_missing = 0 if newest is None else frame.frame - newest - 1
        if n_missing > 0:
            sentence = (
                f"{n_missing} frames are missing between the two recordings of this "
                f"session: the earlier one ends with frame {newest}, this one begins "
                f"with frame {frame.frame}"
            )
            self._context.events.publish_event("gap", sentence, value=n_missing)

    def close(self) -> None:
        """Cancel the work in the background; there will be no further session."""
        if self.pipeline:
            self.pipeline.close()
        self.pipeline = None

    def _end_pipeline(self) -> None:
        self._context.recording.stop()
        self.close()


def _describe_layout(start: messages.SessionStart) -> str:
    if start.has_unit_rates:
        return f"rates at {describe_rate(start.rate_hz)}"
    lines, pixels = start.shape
    planes = f"{len(start.planes)} planes of " if len(start.planes) > 1 else ""
    channels = f", channels {start.channels}" if len(start.channels) > 1 else ""
    rate = describe_rate(start.rate_hz)
    return f"{planes}{lines} x {pixels} at {rate}{channels}"
