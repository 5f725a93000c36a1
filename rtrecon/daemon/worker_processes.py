"""The worker processes that the daemon starts: inverter, closed loop and calibrator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rtrecon.config import Settings
from rtrecon.daemon.supervisor import (
    CALIBRATOR_SPEC,
    CLOSED_LOOP_SPEC,
    ChildExit,
    ChildProcess,
)


class WorkerProcesses:
    """The inverter, once there is an encoder, and the closed loop, if there are rules.

    inverter: None while there is no encoder. is_inverter_ready: whether the inverter
    runs and has sent its health. calibrator: None until it is started.
    """

    def __init__(self, settings: Settings, has_inverter: bool, has_rules: bool) -> None:
        self.inverter = ChildProcess(settings) if has_inverter else None
        self.calibrator: ChildProcess | None = None
        self.is_inverter_ready = False
        self._settings = settings
        self._encoder: Path | None = None  # that was handed over
        self._children: dict[str, ChildProcess] = {}
        if self.inverter:
            self._children["inverter"] = self.inverter
        if has_rules:
            self._children["closed_loop"] = ChildProcess(settings, CLOSED_LOOP_SPEC)

    def start(self) -> None:
        """Start all."""
        for child in self._children.values():
            child.start()

    def start_calibrator(self) -> None:
        """Start the calibrator, if it was not started yet."""
        if self.calibrator is None:
            self.calibrator = ChildProcess(self._settings, CALIBRATOR_SPEC)
            self._children["calibrator"] = self.calibrator
            self.calibrator.start()

    def hand_over_encoder(self, path: Path) -> None:
        """Let the inverter use this encoder; start it if there is none yet.

        A running inverter reads newer weights from the same file by itself; for another
        file it is started again.
        """
        if path == self._encoder:
            return
        self._encoder = path
        if self.inverter is not None:
            self.inverter.kill()
        encoder = self._settings.encoder.model_copy(update={"checkpoint": path})
        settings = self._settings.model_copy(update={"encoder": encoder})
        self.is_inverter_ready = False
        self.inverter = self._children["inverter"] = ChildProcess(settings)
        self.inverter.start()

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
