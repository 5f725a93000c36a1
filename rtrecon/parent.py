"""Whether the process that started this one is still there."""

from __future__ import annotations

import psutil


class Parent:
    """A process that this one shall not outlive.

    It is told its id, and does not ask the system who its parent is: children of a
    process that is gone by then have been given to another, which stays.
    """

    def __init__(self, pid: int) -> None:
        try:
            self._process: psutil.Process | None = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._process = None

    def is_there(self) -> bool:
        """Return whether it still runs."""
        if self._process is None:
            return False
        try:
            ended = self._process.status() == psutil.STATUS_ZOMBIE
            return self._process.is_running() and not ended
        except psutil.NoSuchProcess:
            return False
