"""Whatever can wait gives way to the front, whose next frame cannot."""

from __future__ import annotations

import psutil

_NICE = 10  # of 19; Windows has a class of its own instead


def give_way(pid: int | None = None) -> None:
    """Take a lower priority, or give one to the process `pid`."""
    below = psutil.BELOW_NORMAL_PRIORITY_CLASS if psutil.WINDOWS else _NICE
    psutil.Process(pid).nice(below)
