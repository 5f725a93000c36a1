"""Waiting for a condition that another thread or process fulfils."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

WAIT_S = 30.0  # much longer than anything takes, for a busy machine

_Result = TypeVar("_Result")


def wait_until(condition: Callable[[], _Result]) -> _Result:
    """Return the first true value that `condition` returns; fail after `WAIT_S`."""
    deadline_s = time.monotonic() + WAIT_S
    while not (result := condition()):
        assert time.monotonic() < deadline_s, f"nothing happened in {WAIT_S:g} s"
        time.sleep(0.005)
    return result
