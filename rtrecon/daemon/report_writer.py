"""Has a session's report written once it is over, by a process that gives way."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from rtrecon.config import RecordSettings
from rtrecon.core.process import give_way
from rtrecon.session.recorder import Recorder

_REST_S = 5.0  # without a further frame, after which a session has a report


class Reports:
    """Starts `rtrecon report` for a recording; nobody waits for it.

    Remembers since when the session has been over, and which recording's report is
    being written, so that it is written once unless the session goes on.
    """

    def __init__(self, settings: RecordSettings) -> None:
        self._enabled = settings.report
        self._over_since_s: float | None = None
        self._written: Path | None = None

    def watch(self, recorder: Recorder | None, over: bool, now_s: float) -> None:
        """Notice that a session is over, while its recording is still open."""
        if not over or recorder is None:
            self._over_since_s = self._written = None
        elif self._over_since_s is None:
            self._over_since_s = now_s
        elif now_s - self._over_since_s > _REST_S:
            self.write(recorder)

    def write(self, recorder: Recorder) -> None:
        """Have the report written, if it is not yet and there is something to tell."""
        if not self._enabled or recorder.failure or self._written == recorder.path:
            return
        self._written = recorder.path
        command = [sys.executable, "-m", "rtrecon", "report", str(recorder.path)]
        quiet = subprocess.DEVNULL  # a mistake is still told where the daemon speaks
        process = subprocess.Popen(command, stdin=quiet, stdout=quiet)
        give_way(process.pid)
        threading.Thread(target=process.wait, name="report", daemon=True).start()
