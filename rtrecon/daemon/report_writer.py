"""Writes a session's report, in a process of low priority, when the session is over."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from rtrecon.config import RecordingSettings
from rtrecon.core.process import lower_priority
from rtrecon.session.recorder import Recorder

_IDLE_S = 5.0  # a session has a report after this time without a frame


class ReportWriter:
    """Starts `rtrecon report` for a recording; the daemon does not wait for it.

    Each report is written once, unless the session continues.
    """

    def __init__(self, settings: RecordingSettings) -> None:
        self._is_enabled = settings.report
        self._idle_since_s: float | None = None
        self._written: Path | None = None  # recording of the newest report

    def write_when_idle(
        self, recorder: Recorder | None, is_idle: bool, now_s: float
    ) -> Path | None:
        """Write the report of an open recording when its session has been idle.

        Returns the session's folder when it starts to write.
        """
        if not is_idle or recorder is None:
            self._idle_since_s = self._written = None
        elif self._idle_since_s is None:
            self._idle_since_s = now_s
        elif now_s - self._idle_since_s > _IDLE_S and self.is_due(recorder):
            self.write_report(recorder)
            return recorder.path
        return None

    def is_due(self, recorder: Recorder) -> bool:
        """Return whether a report is to be written, and is not written yet."""
        is_written = self._written == recorder.path
        return self._is_enabled and not recorder.failure and not is_written

    def write_report(self, recorder: Recorder) -> None:
        """Write the report, unless it exists or the recording has failed."""
        if not self.is_due(recorder):
            return
        self._written = recorder.path
        command = [sys.executable, "-m", "rtrecon", "report", str(recorder.path)]
        quiet = subprocess.DEVNULL  # errors still appear where the daemon prints
        process = subprocess.Popen(command, stdin=quiet, stdout=quiet)
        lower_priority(process.pid)
        threading.Thread(target=process.wait, name="report", daemon=True).start()
