"""The operating system's side of a process: its parent, its priority, its signals."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

_NICE = 10  # of 19; Windows has a class of its own instead


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


def give_way(pid: int | None = None) -> None:
    """Take a lower priority, or give one to the process `pid`."""
    below = psutil.BELOW_NORMAL_PRIORITY_CLASS if psutil.WINDOWS else _NICE
    psutil.Process(pid).nice(below)


@contextmanager
def ended_by_signals(end: Callable[[], object]) -> Iterator[None]:
    """Call `end` on SIGINT or SIGTERM within; afterwards all is as before."""
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.signal(number, lambda *_: end()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
