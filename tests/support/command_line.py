"""Runs `rtrecon` commands in this process: a new one spends seconds on imports."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

from rtrecon.cli import main


def run_here(*arguments: object) -> CompletedProcess[str]:
    """Run `rtrecon ARGUMENTS` to its end; return exit status and output."""
    argv = ["rtrecon", *map(str, arguments)]
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        redirect_stdout(stdout),
        redirect_stderr(stderr),
        patch.object(sys, "argv", argv),
    ):
        status = _catch_exit_status(main)
    return CompletedProcess(argv, status, stdout.getvalue(), stderr.getvalue())


def _catch_exit_status(command: Callable[[], None]) -> int:
    try:
        command()
    except SystemExit as error:
        return int(error.code or 0)
    return 0
