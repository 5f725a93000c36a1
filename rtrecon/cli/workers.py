"""Commands with which the daemon starts its worker processes."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from rtrecon import config
from rtrecon.config import Settings
from rtrecon.core.operating_system import read_input_as_utf8
from rtrecon.core.process import ParentProcess

DaemonPid = Annotated[
    int | None,
    typer.Option(
        "--daemon-pid", help="Process id of the daemon; this process ends with it."
    ),
]


def run_inverter(daemon_pid: DaemonPid = None) -> None:
    """Run the inverter on settings from standard input (started by the daemon)."""
    if task := _receive_task(daemon_pid):
        from rtrecon.inversion.live import process

        process.run_inverter(*task)


def run_calibrator(daemon_pid: DaemonPid = None) -> None:
    """Run the calibrator on settings from standard input (started by the daemon)."""
    if task := _receive_task(daemon_pid):
        from rtrecon.calibration import process

        process.run_calibrator(*task)


def run_closed_loop(daemon_pid: DaemonPid = None) -> None:
    """Run the closed loop on settings from standard input (started by the daemon)."""
    if task := _receive_task(daemon_pid):
        from rtrecon.closed_loop import process

        process.run_closed_loop(*task)


def _receive_task(daemon_pid: int | None) -> tuple[Settings, ParentProcess] | None:
    """Return the settings and the daemon; None if it is gone.

    Before the imports of a worker, which take seconds.
    """
    parent = ParentProcess(daemon_pid or os.getppid())
    if not parent.is_running():
        return None
    return config.parse(read_input_as_utf8()), parent
