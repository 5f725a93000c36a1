"""Receives what senders send: decodes, limits, counts and dispatches each message."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import inf
from typing import Any

import zmq

from rtrecon.daemon.context import DaemonContext
from rtrecon.daemon.ingest.result import IngestAction, IngestResult
from rtrecon.daemon.rate_limits import MessageLimits
from rtrecon.daemon.session_handover import ReceivedParts, SessionHandover
from rtrecon.daemon.session_manager import MAX_CATCH_UP_S, SessionManager
from rtrecon.protocol import messages

_MAX_MESSAGES_PER_CALL = 64  # so that the rest of the loop is not held up
_HOLD_S = 0.002  # pause while frames are held back


class MessageIntake:
    """From the senders' socket to the session manager."""

    def __init__(self, context: DaemonContext, sessions: SessionManager) -> None:
        self._context = context
        self._sessions = sessions
        self._handover = SessionHandover()
        self._last_messages: Iterator[list[Any]] | None = None  # once it finishes
        # A deterministic run loses nothing, so there is no limit either.
        is_unlimited = context.settings.inversion.deterministic
        limit_hz = context.settings.network.aux_rate_limit_hz
        self._limits = MessageLimits(inf if is_unlimited else limit_hz)

    def receive_messages(self) -> bool:
        """Take the messages that have arrived; never waits for one.

        Returns whether there may be more, which are held back or exceed one call.
        """
        for _ in range(_MAX_MESSAGES_PER_CALL):
            if self._sessions.should_hold_frames():
                self._sessions.mark_frames_held_back()
                time.sleep(_HOLD_S)
                return True
            if not self._receive_message():
                return False
        return True

    def finish(self) -> None:
        """Take no further message; process what has arrived, for some seconds.

        Senders see at once that nobody takes their frames. Frames that are not
        processed in time are counted as lost.
        """
        self._last_messages = self._context.sockets.stop_receiving()
        deadline_s = time.monotonic() + MAX_CATCH_UP_S
        while self.receive_messages() and time.monotonic() < deadline_s:
            self._sessions.process_pending()
            self._sessions.receive_results()  # frames may wait for the inverter
        while self._receive_message():
            pass
        self._sessions.catch_up(deadline_s)

    def _receive_message(self) -> bool:
        """Take one message if one has arrived; return whether one has."""
        received = self._handover.take_message() or self._read_message()
        if received is None:
            return False
        with self._context.errors.catch("receiving a message"):
            self._accept_message(*received)
        return True

    def _read_message(self) -> ReceivedParts | None:
        """Read a message; where none is queued, a new session that waits begins."""
        parts = self._read_parts()
        if parts is not None:
            return parts, time.time()
        self._handover.release()
        return self._handover.take_message()

    def _read_parts(self) -> list[Any] | None:
        if self._last_messages is not None:
            return next(self._last_messages, None)
        try:
            return self._context.sockets.frames.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return None

    def _accept_message(self, parts: list[Any], t_received: float) -> None:
        ingest, events = self._context.ingest, self._context.events
        try:
            message, payload = messages.decode_incoming(parts)
        except messages.WireError as error:
            self._count_undecodable(parts, t_received, str(error))
            return
        if self._is_held(message, parts, t_received):
            return
        if excess := self._limits.check_message(message, time.monotonic()):
            self._refuse(message, ingest.count_refused(message, excess).reason)
            return
        if isinstance(message, messages.SessionStart) and ingest.is_new_session(
            message
        ):
            self._sessions.finish_session()
        result = ingest.accept_message(message)
        self._sessions.mark_message()
        self._record(result, parts, t_received)
        events.report_losses(result)
        if result.action is IngestAction.REFUSED:
            self._refuse(message, result.reason)
        elif isinstance(message, messages.SessionStart):
            if result.action is IngestAction.SESSION:
                self._sessions.begin_session(message, payload)
        elif isinstance(message, messages.SessionEnd):
            if result.action is IngestAction.END:
                self._sessions.end_session(message)
        elif result.action is not IngestAction.IGNORE:
            self._sessions.add_message(message, payload, t_received)

    def _count_undecodable(
        self, parts: list[Any], t_received: float, reason: str
    ) -> None:
        """Refuse a message that cannot be decoded.

        While a new session waits, it counts in that session, unless it names the
        present one.
        """
        ingest, handover = self._context.ingest, self._handover
        session = messages.find_frame_session(parts)
        present = ingest.session_start.session if ingest.session_start else ""
        if handover.is_holding and session != present:
            handover.hold(parts, t_received, session or "")
            handover.release_if_full(time.monotonic())
            return
        refused = ingest.count_undecodable(reason, session).reason
        self._context.events.report_refusal(refused)
        if started := messages.read_start_session(parts):
            self._sessions.remember_refusal(started, refused)

    def _is_held(
        self, message: messages.IncomingMessage, parts: list[Any], t_received: float
    ) -> bool:
        """Hold a message of a session that begins before the present one is whole."""
        ingest, handover, now_s = self._context.ingest, self._handover, time.monotonic()
        is_new = (
            isinstance(message, messages.SessionStart)
            and ingest.session_start is not None
            and ingest.is_new_session(message)
        )
        if not handover.must_hold(message, is_new=is_new, now_s=now_s):
            return False
        handover.hold(parts, t_received, message.session)
        handover.release_if_full(now_s)
        return True

    def _refuse(self, message: messages.IncomingMessage, reason: str) -> None:
        self._context.events.report_refusal(reason)
        if isinstance(message, messages.SessionStart):
            self._sessions.remember_refusal(message.session, reason)

    def _record(
        self, result: IngestResult, parts: list[Any], t_received: float
    ) -> None:
        """Record all messages, refused ones too, so that a replay is the same."""
        recorder = self._context.recording.recorder
        if recorder and result.action is not IngestAction.SESSION:
            recorder.add_raw_message(parts, t_received)
