"""Runs `rtrecon` in a process in which some constants have other values.

    python changed_constants.py rtrecon.daemon.health._X_S=0.5 -- run settings.json

So a test need not wait as long as a user does. Only that process is changed, and not
the worker processes that it starts.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from rtrecon.cli import main
from rtrecon.config import Settings
from rtrecon.testing.daemon_process import BackgroundProcess, DaemonProcess

SEPARATOR = "--"


class ChangedProcess(BackgroundProcess):
    """`rtrecon ARGUMENTS` in which constants have other values.

    constants: each named with its module.
    """

    def __init__(
        self, log: Path, constants: Mapping[str, float], *arguments: object
    ) -> None:
        self.program = make_program(constants)
        super().__init__(log, *arguments)


class ChangedDaemon(DaemonProcess):
    """A daemon in which constants have other values; see `ChangedProcess`."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        constants: Mapping[str, float],
        wait: bool = True,
    ) -> None:
        self.program = make_program(constants)
        super().__init__(folder, settings, wait)


def make_program(constants: Mapping[str, float]) -> tuple[str, ...]:
    """Return what Python has to run, in place of `-m rtrecon`."""
    changes = [f"{name}={value}" for name, value in constants.items()]
    return (__file__, *changes, SEPARATOR)


def change_constant(text: str) -> None:
    """Set a constant; text: `module.NAME=value`. It must exist and be a number."""
    path, value = text.split("=")
    module_name, _, name = path.rpartition(".")
    module = importlib.import_module(module_name)
    kind = type(getattr(module, name))
    setattr(module, name, kind(value))


if __name__ == "__main__":
    end = sys.argv.index(SEPARATOR)
    for text in sys.argv[1:end]:
        change_constant(text)
    del sys.argv[1 : end + 1]
    main()
