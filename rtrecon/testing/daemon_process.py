"""A real daemon in a background process, and everything that it publishes.

    with DaemonProcess(folder, make_small_settings(folder)) as daemon:
        with SimulatedMicroscope(daemon) as microscope:
            microscope.send_frames(30)
            health = microscope.wait_until_processed()

Published messages are received whenever a test waits (`wait_until`) or sends a frame;
no thread is used. Leaving the `with` block ends the process.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from socket import socket
from typing import Any, Self, TypeVar

from rtrecon import config
from rtrecon.config import (
    NetworkSettings,
    RecordingSettings,
    RegistrationSettings,
    Settings,
)
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.session.session import Session, list_sessions
from rtrecon.transport.keys import get_client_keys
from rtrecon.transport.rpc import Reply, call_daemon
from rtrecon.transport.subscriber import Subscriber

N_TEMPLATE = 12  # frames from which a daemon makes its template
HEALTH_INTERVAL_S = 0.1  # tests wait for the counters in these messages
REPLY_TIMEOUT_S = 20.0
START_TIMEOUT_S = 60.0  # for a process that has to import torch
_EXIT_TIMEOUT_S = 15.0
_ADDRESSES = ("frames", "tcp", "publish", "control", "results")

_Message = TypeVar("_Message")


def run_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `rtrecon ARGUMENTS` to its end; return exit status and output."""
    return subprocess.run(
        [sys.executable, "-m", "rtrecon", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=2 * START_TIMEOUT_S,
        check=False,
    )


def make_settings(folder: Path, **sections: Any) -> Settings:
    """Return settings with free ports that record into `folder`."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket()) for _ in _ADDRESSES]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        ports = [probe.getsockname()[1] for probe in probes]
    network: dict[str, Any] = {
        name: f"tcp://127.0.0.1:{port}"
        for name, port in zip(_ADDRESSES, ports, strict=True)
    }
    defaults: dict[str, Any] = {
        "network": NetworkSettings(
            **network, idle_timeout_s=1.0, health_interval_s=HEALTH_INTERVAL_S
        ),
        "recording": RecordingSettings(
            folder=folder / "recordings", chunk_s=0.5, report=False
        ),
        "registration": RegistrationSettings(template_frames=N_TEMPLATE),
    }
    return Settings(**(defaults | sections))


class BackgroundProcess:
    """`rtrecon ARGUMENTS` in the background; its output goes to the file `log`.

    program: what Python runs with these arguments.
    """

    program: tuple[str, ...] = ("-m", "rtrecon")

    def __init__(self, log: Path, *arguments: object) -> None:
        self._log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_EXIT_TIMEOUT_S)
        self.kill()

    @property
    def output(self) -> str:
        """What the process has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End the process at once, as the system does when memory runs out."""
        self.process.kill()
        self.process.wait()


class DaemonProcess(BackgroundProcess):
    """`rtrecon run`, with all messages `received` from it.

    Entering waits until the daemon is ready, unless `wait` is False.
    """

    def __init__(self, folder: Path, settings: Settings, wait: bool = True) -> None:
        self.settings = settings
        self.received: list[tuple[messages.PublishedMessage, Array]] = []
        self._wait = wait
        self._keys = get_client_keys(settings.network)
        file = folder / "settings.json"
        file.write_text(config.dump(settings), encoding="utf-8")
        super().__init__(folder / "daemon.log", "run", file)
        self._subscriber = Subscriber(settings.network.publish, self._keys)

    def __enter__(self) -> Self:
        try:
            if self._wait:
                self.wait_until(self._is_ready, START_TIMEOUT_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._subscriber.close()

    def call(self, op: str, **fields: object) -> Reply:
        """Send a request and return the reply; raises `RpcError`."""
        return call_daemon(self.settings.network.control, op, self._keys, **fields)

    def receive(self, wait_s: float = 0.0) -> None:
        """Receive the published messages; wait at most `wait_s` for the first."""
        if wait_s > 0:
            self._subscriber.wait(wait_s)
        self.received += self._subscriber.receive_pending()

    def wait_until(
        self, condition: Callable[[], object], timeout_s: float = REPLY_TIMEOUT_S
    ) -> None:
        """Receive messages until the condition holds; fail after `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, (
                f"the condition did not hold in {timeout_s:g} s:\n"
                f"{self.describe_state()}"
            )
            self.receive(0.05)

    def describe_state(self) -> str:
        """Return the daemon's output and the newest health of each process."""
        states = [str(self.newest_health(name)) for name in ("daemon", "inverter")]
        return "\n".join([self.output, *states])

    def messages_of(self, message_class: type[_Message]) -> list[_Message]:
        """Return the received messages of a class, oldest first."""
        return [
            message
            for message, _ in self.received
            if isinstance(message, message_class)
        ]

    def events_named(self, name: str) -> list[messages.Event]:
        """Return the received events of a name, oldest first."""
        return [
            event for event in self.messages_of(messages.Event) if event.name == name
        ]

    def newest_health(self, process: str = "daemon") -> messages.Health | None:
        """Return the newest health of a process; None before the first one."""
        found = [h for h in self.messages_of(messages.Health) if h.process == process]
        return found[-1] if found else None

    def recordings(self, session: str) -> list[Session]:
        """Return the recordings of a session as they are now, oldest first."""
        folder = Path(self.settings.recording.folder)
        found = [Session(path) for path in list_sessions(folder)]
        found.sort(key=lambda recording: recording.about.started)
        return [recording for recording in found if recording.about.session == session]

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"the daemon ended:\n{self.output}"
        # A health message was received, so no later message will be missed.
        health = self.newest_health()
        has_encoder = self.settings.encoder.checkpoint is not None
        is_inverting = not has_encoder or self.newest_health("inverter") is not None
        return health is not None and health.state == "waiting" and is_inverting
