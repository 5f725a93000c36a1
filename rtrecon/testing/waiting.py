"""Waiting for what happens elsewhere: in another thread, process or socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

WAIT_S = 30.0  # far more than anything takes, for a machine that is busy

T = TypeVar("T")


def until(found: Callable[[], T]) -> T:
    """Return what `found` returns, as soon as that is something; fail if it is not."""
    deadline_s = time.monotonic() + WAIT_S
    while not (result := found()):
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.005)
    return result
