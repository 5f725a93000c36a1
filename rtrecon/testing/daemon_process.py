"""A rig of real processes: programs as a user starts them, and whoever listens.

No threads, and nothing is faked: what a daemon publishes is taken in whenever a test
waits for something (`until`) or sends a frame, and everything is ended on leaving.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import zmq

from rtrecon import config
from rtrecon.config import (
    RecordSettings,
    RegisterSettings,
    RoiSettings,
    Settings,
    WireSettings,
)
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.session.session import Session as Record
from rtrecon.session.session import sessions
from rtrecon.simulate.session import Session, stream
from rtrecon.testing import small_field
from rtrecon.transport import control, sockets
from rtrecon.transport.keys import keys_of_client
from rtrecon.transport.sender import Sender

SHAPE, RATE_HZ = (128, 128), 30.0  # of the small microscope below
N_TEMPLATE = 12  # frames kept for a template before any is processed
PROMPT_S, SLOW_S = 20.0, 60.0  # for an answer; for a process that has to load torch
END_S = 15.0

T = TypeVar("T")


def rtrecon(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "rtrecon", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=2 * SLOW_S,
    )


def settings_in(folder: Path, **sections: object) -> Settings:
    """Settings on free ports, recording into the folder."""
    names = ("frames", "tcp", "publish", "control", "results")
    with contextlib.ExitStack() as probes:
        held = [probes.enter_context(socket.socket()) for _ in names]
        for probe in held:
            probe.bind(("127.0.0.1", 0))
        ports = [probe.getsockname()[1] for probe in held]
    addresses = {
        name: f"tcp://127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)
    }
    given = {
        "wire": WireSettings(**addresses, idle_timeout_s=1.0),
        "record": RecordSettings(
            folder=str(folder / "recordings"), chunk_s=0.5, report=False
        ),
        "register_": RegisterSettings(template_frames=N_TEMPLATE),
    }
    return Settings(**(given | sections))


class Program:
    """`rtrecon ...` in the background, its words kept in a file."""

    def __init__(self, log: Path, *arguments: object) -> None:
        self._log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rtrecon", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(END_S)
        self.kill()

    @property
    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """Kill -9, as the system does when memory runs out."""
        self.process.kill()
        self.process.wait()


class Daemon(Program):
    """`rtrecon run`, and all that it has published since it was ready.

    Entered, it is waited for until it is ready; not so with `wait` False.
    """

    def __init__(self, folder: Path, settings: Settings, wait: bool = True) -> None:
        self.settings = settings
        self._wait = wait
        self.heard: list[tuple[messages.Published, Array]] = []
        file = folder / "settings.json"
        file.write_text(config.dump(settings), encoding="utf-8")
        super().__init__(folder / "daemon.log", "run", file)
        self._context = zmq.Context()
        self._keys = keys_of_client(settings.wire)
        self._ear = sockets.connect(
            self._context, zmq.SUB, settings.wire.publish, self._keys
        )

    def __enter__(self):
        try:
            if self._wait:
                self.until(self._is_ready, SLOW_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._ear.close(linger=0)
        self._context.term()

    def ask(self, op: str, **fields: object) -> dict:
        return control.ask(self.settings.wire.control, op, self._keys, **fields)

    def listen(self, wait_s: float = 0.0) -> None:
        """Take in what has been published; wait at most so long for the first."""
        wait_ms = round(1000 * max(0.0, wait_s))
        while self._ear.poll(wait_ms):
            self.heard.append(messages.decode_published(self._ear.recv_multipart()))
            wait_ms = 0

    def until(self, condition: Callable[[], bool], timeout_s: float = PROMPT_S) -> None:
        """Listen until the condition holds; too late, say what the daemon said."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"in vain:\n{self.told()}"
            self.listen(0.05)

    def told(self) -> str:
        """What it said, and the last figures of each station: for a failing test."""
        stations = [str(self.health(name)) for name in ("front", "inverter")]
        return "\n".join([self.said, *stations])

    def all(self, kind: type[T]) -> list[T]:
        return [message for message, _ in self.heard if isinstance(message, kind)]

    def events(self, name: str) -> list[messages.Event]:
        return [event for event in self.all(messages.Event) if event.name == name]

    def health(self, station: str = "front") -> messages.Health | None:
        told = [h for h in self.all(messages.Health) if h.station == station]
        return told[-1] if told else None

    def records(self, session: str) -> list[Record]:
        """This session's recordings as they are now, oldest first."""
        folder = Path(self.settings.record.folder)
        found = [Record(path) for path in sessions(folder)]
        found.sort(key=lambda record: record.about.started)
        return [record for record in found if record.about.session == session]

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"the daemon ended:\n{self.said}"
        front = self.health()  # heard, so that nothing later will be missed
        inverting = self.settings.encoder.checkpoint is None or self.health("inverter")
        return bool(front and front.state == "waiting" and inverting)


class Scope:
    """A small microscope: the frames of a `field_world`, a few different ones.

    Entered, it waits for the daemon, and no frame is lost; with `wait` False frames
    go where they may, as beside a real microscope.
    """

    def __init__(
        self, daemon: Daemon, wait: bool = True, shape=SHAPE, rate_hz=RATE_HZ
    ) -> None:
        self.daemon = daemon
        self.frames = small_frames()
        doors = daemon.settings.wire
        start = {"source": "scope", "rate_hz": rate_hz, "shape": shape}
        self.sender = Sender(doors.frames, keys_of_client(doors), **start)
        self.session = self.sender.session
        self.sender.wait_s = PROMPT_S if wait else 0.0
        self._rate_hz = rate_hz
        self.sent = 0

    def __enter__(self) -> Scope:
        if self.sender.wait_s:
            assert self.sender.wait_for_daemon(self.sender.wait_s)
        return self

    def __exit__(self, *_: object) -> None:
        self.sender.close()

    def scan(self, count: int) -> None:
        """Send frames as fast as they are taken."""
        for _ in range(count):
            self._next()
            self.daemon.listen()

    def scan_until(self, condition: Callable[[], bool], timeout_s=PROMPT_S) -> None:
        """Send frames in real time until the condition holds."""
        began_s = due_s = time.monotonic()
        while not condition():
            assert due_s - began_s < timeout_s, f"in vain:\n{self.daemon.said}"
            self._next()
            due_s += 1 / self._rate_hz
            while (left_s := due_s - time.monotonic()) > 0:
                self.daemon.listen(left_s)

    def until_processed(self) -> messages.Health:
        """Wait until the daemon says that it has done with all; return its figures."""

        def done() -> bool:
            health = self.daemon.health()
            ours = health.session == self.session
            return (
                ours and health.frames_processed + health.rejected >= self.sender.sent
            )

        self.daemon.until(done)
        return self.daemon.health()

    def _next(self) -> None:
        pixels = self.frames[self.sent % len(self.frames)]
        self.sent += 1
        self.sender.frame(pixels, self.sent, (self.sent - 1) / self._rate_hz)


def small_frames(moved_px: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """Frames of one field, int16 (20, 128, 128), as a whole moved by so much."""
    rng = np.random.default_rng(0)
    field = small_field.field(SHAPE)
    jitter = rng.normal(0, 0.5, (20, 2)) + moved_px
    return np.stack(
        [field.frame(20, rng, shift, rng.random(field.n_cells)) for shift in jitter]
    )


def small_settings(folder: Path, **sections: object) -> Settings:
    """Settings for a daemon that reads that field's cells, with no encoder."""
    rois = small_field.field(SHAPE).rois()
    spans = zip(rois.indptr, rois.indptr[1:], strict=False)
    places = np.stack([rois.rows, rois.cols], axis=1).tolist()
    path = folder / "regions.json"
    path.write_text(json.dumps([{"coordinates": places[a:b]} for a, b in spans]))
    rois_here = RoiSettings(path=str(path))
    return settings_in(folder, **({"rois": rois_here} | sections))


class _Enough(Exception):
    pass


def show(
    session: Session,
    sender: Sender,
    daemon: Daemon,
    until: Callable[[int], bool] = lambda index: False,
) -> None:
    """Stream a simulated session in real time; cut it off without a word if asked."""

    def told(index: int) -> None:
        daemon.listen()
        if until(index):
            raise _Enough

    with contextlib.suppress(_Enough):
        stream(session, sender, told)
