"""The commands that a daemon starts its stations with."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from rtrecon import config
from rtrecon.core.process import Parent

FrontId = Annotated[
    int | None, typer.Option("--front", help="Whose end is this one's end, by its id.")
]


def invert(front: FrontId = None) -> None:
    """Run the inverter on settings from standard input (started by the daemon)."""
    parent = Parent(front or os.getppid())
    from rtrecon.inversion.live import process

    process.run(config.parse(sys.stdin.read()), parent)


def reactor(front: FrontId = None) -> None:
    """Run the reactor on settings from standard input (started by the daemon)."""
    parent = Parent(front or os.getppid())
    # Of more threads, each waits for the other where cores are busy: 20 ms, not 0.3.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from rtrecon.closed_loop import process

    process.run(config.parse(sys.stdin.read()), parent)
