"""Receives the results of the worker processes, and passes them on."""

from __future__ import annotations

import time
from typing import Any

import zmq

from rtrecon.core.types import Array
from rtrecon.daemon.calibration_starter import hand_over_encoder
from rtrecon.daemon.context import DaemonContext
from rtrecon.protocol import messages

_MAX_RESULTS_PER_CALL = 16


class ResultIntake:
    """Records and publishes what the inverter and the closed loop found.

    Watchdogs, worker processes and backpressure learn from it that they are alive.
    """

    def __init__(self, context: DaemonContext) -> None:
        self._context = context

    def receive_results(self) -> None:
        """Take the results that have arrived; never waits."""
        for _ in range(_MAX_RESULTS_PER_CALL):
            try:
                parts = self._context.sockets.results.recv_multipart(zmq.DONTWAIT)
                self._pass_on(*messages.decode_published(parts), parts)
            except zmq.Again:
                return
            except ValueError as error:
                self._context.events.report_refusal(f"a result was refused: {error}")

    def _pass_on(
        self, message: messages.PublishedMessage, payload: Array, parts: list[Any]
    ) -> None:
        publisher, recording = self._context.publisher, self._context.recording
        if isinstance(message, messages.Event):
            # The daemon numbers the events of all processes: they are one topic.
            message = publisher.renumber_event(message)
            parts = messages.encode_published(message)
        if message.session == publisher.session:
            recording.record_result(message, payload)
        self._note_sender(message)
        publisher.forward_parts(parts)
        if isinstance(message, messages.Event) and not message.rule:
            self._context.events.log(message.message)

    def _note_sender(self, message: messages.PublishedMessage) -> None:
        is_current = message.session == self._context.publisher.session
        if isinstance(message, messages.Movie):
            self._context.backpressure.movie_received(message.encoder_frame)
        if isinstance(message, messages.Calibration) and is_current:
            hand_over_encoder(self._context, message)
            watchdogs = self._context.watchdogs
            watchdogs.set_condition("stimulus lag", message.warning)
        if isinstance(message, messages.Health):
            now_s = time.monotonic()
            self._context.workers.mark_ready(message.process, now_s)
            if message.process == "inverter":
                self._context.watchdogs.mark_inverter_health(now_s)
