"""Reports at the end of a session: where it was recorded, how long, what was lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rtrecon.core.frame_intervals import format_interval
from rtrecon.daemon.context import DaemonContext
from rtrecon.daemon.session_manager import SessionManager
from rtrecon.protocol import messages
from rtrecon.session.frame_balance import balance_frames
from rtrecon.session.recorder import Recorder


class EndReporter:
    """Publishes a sentence at the end of each recorded session, with the next command.

    A session that continues after a pause has another end, which is reported again.
    publish_health: publishes and returns the daemon's health, for its counts.
    """

    def __init__(
        self,
        context: DaemonContext,
        sessions: SessionManager,
        publish_health: Callable[[], messages.Health],
    ) -> None:
        self._context = context
        self._sessions = sessions
        self._publish_health = publish_health
        self._reported: tuple[Path, int] | None = None  # recording, frames by then

    def report_when_idle(self, now_s: float) -> None:
        """Report the end, and write the HTML report, when no frame comes any more."""
        is_idle = self._sessions.state == "idle"
        if is_idle and self._is_new_end():
            self._report_recording(self._publish_health())
        path = self._context.recording.write_report_when_idle(is_idle, now_s)
        if path is not None:
            self._announce_report(path)

    def report_end(self) -> None:
        """Report the end now; its HTML report is written when the recording closes."""
        recording = self._context.recording
        self._context.events.report_ended_losses(float("inf"))
        health = self._publish_health()
        if self._is_new_end():
            self._report_recording(health)
        if recording.recorder and recording.will_write_report:
            self._announce_report(recording.recorder.path)

    def _is_new_end(self) -> bool:
        """Return whether a recording has come to an end that is not reported yet."""
        recorder = self._context.recording.recorder
        if recorder is None or recorder.failure or self._sessions.pipeline is None:
            return False
        return self._reported != self._describe_end(recorder)

    def _describe_end(self, recorder: Recorder) -> tuple[Path, int]:
        return recorder.path, self._context.ingest.counts.frames_accepted

    def _report_recording(self, health: messages.Health) -> None:
        recorder, pipeline = self._context.recording.recorder, self._sessions.pipeline
        assert recorder is not None
        assert pipeline is not None
        self._reported = self._describe_end(recorder)
        sentence = (
            f"the session is recorded in {recorder.path}: "
            f"{_format_duration(pipeline.duration_s)}, "
            f"{_describe_losses(health)}; "
            f"next: {self._suggest_command(recorder.path)}"
        )
        self._context.events.publish_event("recorded", sentence)

    def _suggest_command(self, path: Path) -> str:
        pipeline = self._sessions.pipeline
        is_dish = pipeline is not None and pipeline.dish is not None
        if self._context.workers.inverter is None and not is_dish:
            return f"rtrecon train --session {path}"
        return f"rtrecon report {path}"

    def _announce_report(self, path: Path) -> None:
        sentence = f"the report {path / 'report.html'} is being written"
        self._context.events.publish_event("report", sentence)


def _format_duration(seconds: float) -> str:
    if seconds >= 3600:
        return format_interval(seconds)
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _describe_losses(health: messages.Health) -> str:
    balance = balance_frames(health)
    losses = [f"{count} frames {words}" for words, count in balance.losses.items()]
    if n_rows := health.lost.get("record", 0):
        losses.append(f"{n_rows} rows not recorded")
    return ", ".join(losses) or "nothing lost"
