"""Starts `rtrecon` commands beside the demo, watches their memory, ends them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

_STOP_TIMEOUT_S = 20.0


class ChildProcesses:
    """Named child processes. peak_mb: the most memory that each one held."""

    def __init__(self) -> None:
        self.peak_mb: dict[str, float] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        """Start `rtrecon` with these arguments."""
        command = [sys.executable, "-m", "rtrecon", *arguments]
        self._running[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def is_running(self, name: str) -> bool:
        """Return whether this process is still running."""
        return self._running[name].poll() is None

    def measure_memory(self) -> None:
        """Update the peak memory of each process."""
        for name, process in self._running.items():
            try:
                memory_mb = psutil.Process(process.pid).memory_info().rss / 2**20
            except psutil.NoSuchProcess:
                continue
            self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), memory_mb)

    def wait_for_exit(self, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """Wait until all processes have exited; kill those that exceed the timeout."""
        deadline = time.monotonic() + timeout_s
        for process in self._running.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def terminate(self) -> None:
        """End all processes that still run."""
        for process in self._running.values():
            process.terminate()
        self.wait_for_exit()


@contextmanager
def child_processes() -> Iterator[ChildProcesses]:
    """Yield child processes; end them when the context ends, whatever happens."""
    children = ChildProcesses()
    try:
        yield children
    finally:
        children.terminate()
