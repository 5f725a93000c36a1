"""The command that the daemon starts its react process with."""

from __future__ import annotations

import os
import sys

from rtrecon import config


def reactor() -> None:
    """Run the reactor on settings from standard input (started by the daemon)."""
    # Of more threads, each waits for the other where cores are busy: 20 ms, not 0.3.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from rtrecon.react import station

    station.run(config.parse(sys.stdin.read()))
