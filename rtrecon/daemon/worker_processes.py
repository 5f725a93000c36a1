"""The worker processes that the daemon starts and watches: inverter and closed loop."""

from __future__ import annotations

from collections.abc import Iterator

from rtrecon.config import Settings
from rtrecon.daemon.supervisor import CLOSED_LOOP_SPEC, ChildExit, ChildProcess


class WorkerProcesses:
    """The inverter, if there is an encoder, and the closed loop, if there are rules.

    is_inverter_ready: whether the inverter runs and has sent its health.
    """

    def __init__(self, settings: Settings, has_inverter: bool, has_rules: bool) -> None:
        self.inverter = ChildProcess(settings) if has_inverter else None
        self.is_inverter_ready = False
        self._children: dict[str, ChildProcess] = {}
        if self.inverter:
            self._children["inverter"] = self.inverter
        if has_rules:
            self._children["closed_loop"] = ChildProcess(settings, CLOSED_LOOP_SPEC)

    def start(self) -> None:
        """Start all."""
        for child in self._children.values():
            child.start()

    def mark_ready(self, process: str, now_s: float) -> None:
        """Learn that a process has started up: it sent its health."""
        if child := self._children.get(process):
            child.mark_ready(now_s)
            self.is_inverter_ready |= child is self.inverter

    def poll_exits(self, now_s: float) -> Iterator[tuple[str, ChildExit]]:
        """Yield (process, exit) of those that exited; restart those that are due."""
        for name, child in self._children.items():
            if child_exit := child.poll_exit(now_s):
                self.is_inverter_ready &= child is not self.inverter
                yield name, child_exit

    def stop(self) -> None:
        """End all."""
        for child in self._children.values():
            child.stop()
