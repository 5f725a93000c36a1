"""Processes: waiting for a parent's end, lower priority, signal handlers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from rtrecon.core.operating_system import list_stop_signals, set_low_priority


class ParentProcess:
    """Another process, given by its id; the current process should end with it.

    The id is given because the system's answer is unreliable: when a parent has ended,
    the system assigns its children to another process, which keeps running.
    """

    def __init__(self, pid: int) -> None:
        try:
            self._process: psutil.Process | None = psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._process = None

    def is_running(self) -> bool:
        """Return whether the process still runs."""
        if self._process is None:
            return False
        try:
            is_zombie = self._process.status() == psutil.STATUS_ZOMBIE
            return self._process.is_running() and not is_zombie
        except psutil.NoSuchProcess:
            return False


def lower_priority(pid: int | None = None, *, is_lowest: bool = False) -> None:
    """Lower the priority of the process `pid`, or of the current process.

    A priority that is lower already stays: only root may raise one. is_lowest: below
    that of all others, for work that only fills idle time.
    """
    set_low_priority(psutil.Process(pid), is_lowest)


@contextmanager
def call_on_signals(handler: Callable[[], object]) -> Iterator[None]:
    """Call `handler` on a signal to stop; restore the old handlers at the end."""
    numbers = list_stop_signals()
    before = [signal.signal(number, lambda *_: handler()) for number in numbers]
    try:
        yield
    finally:
        for number, previous in zip(numbers, before, strict=True):
            signal.signal(number, previous)
