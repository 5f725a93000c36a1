"""A worker process: starts it, watches it, restarts it, and gives up in the end."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum

from rtrecon import config
from rtrecon.config import Settings
from rtrecon.core.operating_system import is_pipe_closed
from rtrecon.core.process import lower_priority

_RESTART_DELAY_S = 0.5
_MAX_EARLY_EXITS = 3  # in a row; then the process is not started again
_EARLY_EXIT_S = 10.0  # an exit is early before the first message or this soon after it

# For numpy's products of matrices: of two threads, each waits for the other on busy
# cores (20 ms instead of 0.3). numpy reads it when it is imported; torch does not.
_ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class ChildExit:
    """A child process has exited: a sentence for the user, and whether it is final."""

    notice: str
    is_final: bool


class Priority(Enum):
    """Priority of a child process, relative to the daemon's."""

    SAME = "same"
    LOW = "low"
    LOWEST = "lowest"


@dataclass(frozen=True)
class ChildSpec:
    """A child process: its command, its name, and what is missing without it."""

    command: str
    name: str
    consequence: str
    priority: Priority


# Below the daemon's priority: an optimisation step can wait, a frame cannot.
INVERTER_SPEC = ChildSpec("inverter", "the inverter", "no movie", Priority.LOW)
# It is nearly always idle, and its reactions are urgent.
CLOSED_LOOP_SPEC = ChildSpec(
    "closed-loop", "the closed loop", "no rule fires", Priority.SAME
)
# It computes for minutes, and nobody waits for it.
CALIBRATOR_SPEC = ChildSpec(
    "calibrator", "the calibrator", "no encoder is trained", Priority.LOWEST
)


class ChildProcess:
    """Runs a command of `rtrecon` and restarts it when it exits.

    After several early exits in a row it is not started again. There is no clock here:
    the caller gives the time. restarts: how often it was started again.
    """

    def __init__(self, settings: Settings, spec: ChildSpec = INVERTER_SPEC) -> None:
        self._settings = settings
        self._spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_s: float | None = None  # time of its first message
        self._restart_due_s: float | None = None
        self._early_exits = 0
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process, and send it the settings."""
        command = [sys.executable, "-m", "rtrecon", self._spec.command]
        command += ["--daemon-pid", str(os.getpid())]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, env=os.environ | _ONE_BLAS_THREAD
        )
        assert process.stdin is not None
        try:
            process.stdin.write(config.dump(self._settings).encode())
            process.stdin.close()
        except OSError as error:
            if not is_pipe_closed(error):
                raise
            # It has exited: `poll_exit` reports it.
        if self._spec.priority is not Priority.SAME:
            is_lowest = self._spec.priority is Priority.LOWEST
            lower_priority(process.pid, is_lowest=is_lowest)
        self._process, self._ready_s, self._restart_due_s = process, None, None

    def mark_ready(self, now_s: float) -> None:
        """Learn that the process has started up; call it for each of its messages."""
        if self._ready_s is None:
            self._ready_s = now_s

    def poll_exit(self, now_s: float) -> ChildExit | None:
        """Return an exit, once; restart the process when it is due. Call often."""
        if self._restart_due_s is not None and now_s >= self._restart_due_s:
            self.restarts += 1
            self.start()
        if self._process is None or self._process.poll() is None:
            return None
        code = self._process.returncode
        self._process = None
        return self._describe_exit(code, now_s)

    def stop(self, timeout_s: float = 3.0) -> None:
        """Wait for the process to exit by itself; after timeout_s, kill it."""
        self._restart_due_s = None
        if self._process is None:
            return
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the process at once, for good."""
        self._restart_due_s = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _describe_exit(self, code: int, now_s: float) -> ChildExit:
        is_early = self._ready_s is None or now_s - self._ready_s < _EARLY_EXIT_S
        self._early_exits = self._early_exits + 1 if is_early else 1
        name = self._spec.name
        if is_early and self._early_exits >= _MAX_EARLY_EXITS:
            return ChildExit(
                f"{name} exited {self._early_exits} times (exit code {code}); "
                f"{self._spec.consequence} until the daemon is restarted",
                is_final=True,
            )
        self._restart_due_s = now_s + _RESTART_DELAY_S
        return ChildExit(
            f"{name} exited (exit code {code}); it is started again", is_final=False
        )
