"""Reports exceptions that the daemon survives: an event, and a traceback in a file."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from rtrecon.daemon.event_publisher import EventPublisher

ERROR_LOG_FILE = "errors.log"  # in the folder of the recordings
_MAX_KINDS = 100  # that are reported; a daemon with more has one cause for all

_Kind = tuple[str, type[Exception], str, int]


class ErrorReporter:
    """Reports each kind of exception once; the daemon goes on.

    A kind is what was being done, the type of the exception, and the line that raised
    it. The event has one sentence; the traceback is appended to `log_file`. n_failed:
    images of the session that were lost by it. Frames that fail within their plane are
    not lost: they are recorded as rejected.
    """

    def __init__(self, events: EventPublisher, log_file: Path) -> None:
        self.n_failed = 0
        self._events = events
        self._log_file = log_file
        self._kinds: set[_Kind] = set()

    @contextmanager
    def catch(self, task: str, *, n_failed: int = 0) -> Iterator[None]:
        """Report an exception in the `with` block, and continue after the block.

        task: what is done in it, as in "recording a frame". n_failed: images that are
        lost if it fails.
        """
        try:
            yield
        except Exception as error:  # no message may end the daemon
            self.n_failed += n_failed
            self.report(task, error)

    def report(self, task: str, error: Exception) -> None:
        """Report an exception, unless one of its kind was reported."""
        kind = _find_kind(task, error)
        if kind in self._kinds or len(self._kinds) >= _MAX_KINDS:
            return
        self._kinds.add(kind)
        with suppress(OSError):  # a full disk must not end the daemon either
            self._append_traceback(task, error)
        self._events.publish_event(
            "error",
            f"{task} failed: {type(error).__name__}: {error}; the daemon goes on, "
            f"details are in {self._log_file}. Please report this",
        )

    def _append_traceback(self, task: str, error: Exception) -> None:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        moment = datetime.now().astimezone().isoformat(timespec="seconds")
        text = "".join(traceback.format_exception(error))
        with self._log_file.open("a", encoding="utf-8") as file:
            file.write(f"{moment} {task} failed\n{text}\n")


def _find_kind(task: str, error: Exception) -> _Kind:
    frames = traceback.extract_tb(error.__traceback__)
    line = (frames[-1].filename, frames[-1].lineno or 0) if frames else ("", 0)
    return task, type(error), *line
