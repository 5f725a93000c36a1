"""The processes that a daemon starts and watches: the inverter and the reactor."""

from __future__ import annotations

from collections.abc import Iterator

from rtrecon.config import Settings
from rtrecon.daemon.supervisor import REACTOR, Child, Loss


class Stations:
    """Each is there if there is something for it to do.

    `inverting` tells whether the inverter is up and has said so.
    """

    def __init__(self, settings: Settings, inverts: bool, reacts: bool) -> None:
        self.inverter = Child(settings) if inverts else None
        self._reactor = Child(settings, REACTOR) if reacts else None
        self.inverting = False

    def start(self) -> None:
        """Start all."""
        for _, child in self._children():
            child.start()

    def spoke(self, station: str, now_s: float) -> None:
        """Learn that one of them is up: it told its health."""
        for name, child in self._children():
            if name == station:
                child.spoke(now_s)
                self.inverting |= child is self.inverter

    def stop(self) -> None:
        """End all."""
        for _, child in self._children():
            child.stop()

    def losses(self, now_s: float) -> Iterator[tuple[str, Loss]]:
        """Notice who has ended, by name, and start again whose time has come."""
        for name, child in self._children():
            loss = child.check(now_s)
            if loss:
                self.inverting &= child is not self.inverter
                yield name, loss

    def _children(self) -> Iterator[tuple[str, Child]]:
        for name, child in (("inverter", self.inverter), ("reactor", self._reactor)):
            if child:
                yield name, child
