"""A station as a child process: started, watched, started again, given up on."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

from rtrecon import config
from rtrecon.config import Settings
from rtrecon.core.process import give_way

_RETRY_S = 0.5
_MAX_FAILURES = 3  # in a row, each within `_YOUNG_S` of its first word, or before it
_YOUNG_S = 10.0


@dataclass(frozen=True)
class Loss:
    """The child ended by itself: what to tell, and whether it will come again."""

    sentence: str
    final: bool


@dataclass(frozen=True)
class Duty:
    """Which command a child runs, how to speak of it, and what is lost without it."""

    command: str
    name: str
    loss: str
    gives_way: bool


# Given a lower priority than the front, so that a step can wait and a frame need not.
INVERTER = Duty("invert", "the inverter", "no movie", gives_way=True)
# Idle nearly always; what it does then is awaited.
REACTOR = Duty("reactor", "the reactor", "no rule fires", gives_way=False)


class Child:
    """Runs a command of `rtrecon` and restarts it, time as an argument.

    One that keeps dying young is given up on.
    """

    def __init__(self, settings: Settings, duty: Duty = INVERTER) -> None:
        self._settings = settings
        self._duty = duty
        self._process: subprocess.Popen[bytes] | None = None
        self._spoke_s: float | None = None
        self._start_at_s: float | None = None
        self._failures = 0
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process."""
        command = [sys.executable, "-m", "rtrecon", self._duty.command]
        command += ["--front", str(os.getpid())]
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(config.dump(self._settings).encode())
        process.stdin.close()
        if self._duty.gives_way:
            give_way(process.pid)
        self._process, self._spoke_s, self._start_at_s = process, None, None

    def spoke(self, now_s: float) -> None:
        """Learn that it is up; how long that took says nothing of its health."""
        if self._spoke_s is None:
            self._spoke_s = now_s

    def check(self, now_s: float) -> Loss | None:
        """Notice an end, or start again when it is time; call it often."""
        if self._start_at_s is not None and now_s >= self._start_at_s:
            self.restarts += 1
            self.start()
        if self._process is None or self._process.poll() is None:
            return None
        code, name = self._process.returncode, self._duty.name
        self._process = None
        young = self._spoke_s is None or now_s - self._spoke_s < _YOUNG_S
        self._failures = self._failures + 1 if young else 1
        if young and self._failures >= _MAX_FAILURES:
            return Loss(
                f"{name} ended {self._failures} times (exit {code}); "
                f"{self._duty.loss} until the daemon is restarted",
                final=True,
            )
        self._start_at_s = now_s + _RETRY_S
        return Loss(f"{name} ended (exit {code}); starting it again", final=False)

    def stop(self, timeout_s: float = 3.0) -> None:
        """Let it end by itself for a while, then end it."""
        self._start_at_s = None
        if self._process is None:
            return
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
