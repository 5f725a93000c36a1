"""Receives what senders send: decodes, limits, counts and dispatches each message."""

from __future__ import annotations

import time
from math import inf
from typing import Any

import zmq

from rtrecon.daemon.context import DaemonContext
from rtrecon.daemon.ingest import IngestAction, IngestResult
from rtrecon.daemon.rate_limits import MessageLimits
from rtrecon.daemon.session_manager import SessionManager
from rtrecon.protocol import messages

_MAX_MESSAGES_PER_CALL = 64  # so that the rest of the loop is not held up
_HOLD_S = 0.002  # pause while frames are held back


class MessageIntake:
    """From the senders' socket to the session manager."""

    def __init__(self, context: DaemonContext, sessions: SessionManager) -> None:
        self._context = context
        self._sessions = sessions
        # A deterministic run loses nothing, so there is no limit either.
        is_unlimited = context.settings.inversion.deterministic
        limit_hz = context.settings.network.aux_rate_limit_hz
        self._limits = MessageLimits(inf if is_unlimited else limit_hz)

    def receive_messages(self) -> None:
        """Take the messages that have arrived; never waits for one."""
        for _ in range(_MAX_MESSAGES_PER_CALL):
            if self._sessions.should_hold_frames():
                self._sessions.mark_frames_held_back()
                time.sleep(_HOLD_S)
                return
            try:
                parts = self._context.sockets.frames.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            with self._context.errors.catch("receiving a message"):
                self._accept_message(parts, time.time())

    def _accept_message(self, parts: list[Any], t_received: float) -> None:
        ingest, events = self._context.ingest, self._context.events
        try:
            message, payload = messages.decode_incoming(parts)
        except messages.WireError as error:
            events.report_refusal(ingest.count_undecodable(str(error)).reason)
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

    def _refuse(self, message: messages.IncomingMessage, reason: str) -> None:
        self._context.events.report_refusal(reason)
        if isinstance(message, messages.SessionStart):
            self._sessions.remember_refusal(message, reason)

    def _record(
        self, result: IngestResult, parts: list[Any], t_received: float
    ) -> None:
        """Record all messages, refused ones too, so that a replay is the same."""
        recorder = self._context.recording.recorder
        if recorder and result.action is not IngestAction.SESSION:
            recorder.add_raw_message(parts, t_received)
