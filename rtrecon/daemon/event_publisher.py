"""Publishes, records and logs the daemon's events and notices."""

from __future__ import annotations

import time
from collections.abc import Callable

from rtrecon.daemon.ingest.result import IngestResult
from rtrecon.daemon.loss_monitor import LossMonitor
from rtrecon.daemon.rate_limits import Throttle
from rtrecon.daemon.session_recording import SessionRecording
from rtrecon.protocol import messages
from rtrecon.transport.publisher import Publisher

Log = Callable[[str], None]


class EventPublisher:
    """Sends each event to subscribers, the recording and the log.

    Refusals of the same kind are reported at most once a second. losses: what is lost
    before the daemon, joined into episodes.
    """

    def __init__(
        self, publisher: Publisher, recording: SessionRecording, log: Log
    ) -> None:
        self._publisher = publisher
        self._recording = recording
        self._log = log
        self._throttle = Throttle()
        self.losses = LossMonitor()

    def publish_event(
        self, name: str, sentence: str, value: float | None = None
    ) -> None:
        """Publish, record and log an event of the daemon.

        Senders choose some of the words: what cannot be printed is replaced.
        """
        sentence = "".join(c if c.isprintable() else "?" for c in sentence)
        self._log(sentence)
        event = self._publisher.publish(
            messages.Event, name=name, message=sentence, value=value
        )
        self._recording.record_result(event)

    def report_refusal(self, reason: str) -> None:
        """Report that a message or a client was refused."""
        if sentence := self._throttle.limit_notice(reason, time.monotonic()):
            self.publish_event("refused", sentence)

    def report_losses(self, result: IngestResult) -> None:
        """Report the first losses before a message, if there were any."""
        for sentence, count in self.losses.count_message(result, time.monotonic()):
            self.publish_event("gap", sentence, value=count)
        if count := result.dropped_earlier:
            sentence = (
                f"the sender had dropped {count} frames before this daemon received "
                "its first one"
            )
            self.publish_event("gap", sentence, value=count)

    def report_ended_losses(self, now_s: float) -> None:
        """Report each episode of losses that is over, in one sentence."""
        for sentence, count in self.losses.take_ended(now_s):
            self.publish_event("gap", sentence, value=count)

    def log(self, sentence: str) -> None:
        """Write a sentence to the log only."""
        self._log(sentence)
