"""A simulated rig that `hostile.py` disturbs.

Microscope, stimulus computer and eye camera send at 30 Hz from one loop. Daemon and
display run in separate processes, which may be killed and started again.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon import config
from rtrecon.config import ClosedLoopSettings, Settings
from rtrecon.core.types import Array
from rtrecon.demo.rig import make_session, make_settings, read_encoder_mouse
from rtrecon.protocol import messages
from rtrecon.simulate.imaged_mouse import make_imaged_mouse
from rtrecon.simulate.session import SimulatedSession, start_message_fields
from rtrecon.testing.daemon_process import BackgroundProcess
from rtrecon.transport.rpc import Reply, call_daemon
from rtrecon.transport.senders import AuxiliarySender, SessionSender
from rtrecon.transport.subscriber import Subscriber

RATE_HZ = 30.0
_ENCODER = "demo"
_MOVIE_S = 20.0  # rendered in advance and repeated
_RULE = {"name": "busy", "when": "mean(activity) > 0.01"}


@dataclass
class Disturbance:
    """What is wrong with the rig now; faults switch these."""

    skip_frames: bool = False  # the microscope loses every tenth frame
    skip_messages: bool = False  # the network loses every tenth message
    shift_px: tuple[int, int] = (0, 0)
    is_shutter_closed: bool = False
    is_wrong_field: bool = False
    is_stimulus_dead: bool = False
    is_camera_dead: bool = False
    stimulus_clock_s: float = 0.0  # how far a clock is ahead
    microscope_clock_s: float = 0.0


@dataclass
class DaemonLife:
    """One run of the daemon: what it was sent, and its newest health."""

    n_taken: int = 0  # frames that the transport has taken
    n_dropped: int = 0  # frames that it has not
    n_lost_at_source: int = 0  # simulated
    n_lost_in_network: int = 0  # simulated
    is_killed: bool = False
    health: messages.Health | None = None


class Microscope(SessionSender):
    """Sends frames with a separate wall clock, and loses messages on purpose."""

    def send_numbered(
        self, pixels: Array, number: int, clock_error_s: float, *, is_lost: bool
    ) -> bool:
        """Send a frame; is_lost: the network loses it, so only `seq` advances."""
        self._repeat_start()
        if is_lost:
            self._seq += 1
            return False
        is_sent = self.send(
            messages.Frame,
            pixels,
            frame=number,
            t=number / RATE_HZ,
            t_send=time.time() + clock_error_s,
            shape=pixels.shape,
            dropped=self.n_dropped,
        )
        self._count(is_sent)
        return is_sent


@dataclass
class Rig:
    """All programs of a rig. Everything is closed by `close`."""

    folder: Path
    disturbance: Disturbance = field(default_factory=Disturbance)
    events: Counter[str] = field(default_factory=Counter)  # by name
    conditions: Counter[str] = field(
        default_factory=Counter
    )  # health messages, by name
    lives: list[DaemonLife] = field(default_factory=list)
    n_frames: int = 0  # that the microscope has taken

    def __post_init__(self) -> None:
        closed_loop = ClosedLoopSettings.model_validate({"rules": [_RULE]})
        settings = make_settings(self.folder, _ENCODER)
        self.settings: Settings = settings.model_copy(
            update={"closed_loop": closed_loop}
        )
        self._file = self.folder / "settings.json"
        self._file.write_text(config.dump(self.settings), encoding="utf-8")
        imaged = make_imaged_mouse(read_encoder_mouse(_ENCODER, None))
        self._session = make_session(imaged, _MOVIE_S, 1, None, "leaves")
        self._frames = _render_frames(self._session)
        self._rng = np.random.default_rng(0)
        network = self.settings.network
        self._scope = Microscope(
            network.frames, None, **start_message_fields(self._session)
        )
        self._stimulus = AuxiliarySender(network.frames)
        self._camera = AuxiliarySender(network.frames)
        topics = ["health", "event"]
        self._subscriber = Subscriber(network.publish, topics=topics)
        self._due_s = time.monotonic()
        self.start_daemon()
        self.start_display()

    @property
    def session(self) -> str:
        """Id of the session."""
        return self._scope.session

    @property
    def logs(self) -> list[Path]:
        """The files into which the processes write."""
        errors = Path(self.settings.recording.folder) / "errors.log"
        logs = [self.folder / "daemon.log", self.folder / "display.log"]
        return [path for path in (*logs, errors) if path.exists()]

    # -- processes -----------------------------------------------------------------

    def start_daemon(self) -> None:
        """Start a daemon; the senders do not wait for it."""
        self.lives.append(DaemonLife())
        self.daemon = BackgroundProcess(self.folder / "daemon.log", "run", self._file)

    def start_display(self) -> None:
        """Start a display without a window."""
        network = self.settings.network
        addresses = ("--publish", network.publish, "--control", network.control)
        self.display = BackgroundProcess(
            self.folder / "display.log", "display", *addresses, "--headless"
        )

    def kill_daemon(self) -> None:
        """Kill the daemon, as the system does when memory runs out; start another."""
        self.lives[-1].is_killed = True
        self.daemon.kill()
        self._receive()
        self.start_daemon()

    def restart_daemon(self) -> None:
        """Ask the daemon to stop, and start another one."""
        self.call("stop")
        while self.daemon.process.poll() is None:
            self.run_until(time.monotonic() + 1 / RATE_HZ)
        self._receive()
        self.start_daemon()

    def kill_worker(self, command: str) -> None:
        """Kill a worker process of the daemon, named by its command."""
        for pid in _list_children(self.daemon.process.pid, command):
            os.kill(pid, signal.SIGKILL)

    def fill_disk(self, is_full: bool) -> None:
        """Let every write of the daemon to a file fail, or no longer."""
        _, hard = resource.prlimit(self.daemon.process.pid, resource.RLIMIT_FSIZE)
        limits = (0 if is_full else hard, hard)
        resource.prlimit(self.daemon.process.pid, resource.RLIMIT_FSIZE, limits)

    def call(self, op: str, **fields: Any) -> Reply:
        """Send a request to the daemon."""
        return call_daemon(self.settings.network.control, op, **fields)

    # -- the loop ------------------------------------------------------------------

    def run_until(self, end_s: float) -> None:
        """Send what a rig sends, in real time, until this monotonic time."""
        while time.monotonic() < end_s:
            self._send_frame()
            self._send_stimulus()
            self._send_behavior()
            self._receive()
            self._due_s = max(self._due_s + 1 / RATE_HZ, time.monotonic() - 1.0)
            time.sleep(max(0.0, self._due_s - time.monotonic()))

    def send_garbage(self) -> None:
        """Send messages that break the protocol."""
        for size in (0, 1, 1000):
            parts = [self._rng.bytes(size), self._rng.bytes(size)]
            self._stimulus._monitored.socket.send_multipart(parts)

    def end_session(self) -> None:
        """End the session; its last counts arrive with the daemon's last health."""
        self._scope.send_end("done")
        self.call("stop")
        self.daemon.process.wait(60.0)
        time.sleep(0.5)
        self._receive()

    def close(self) -> None:
        """End all processes and close all sockets."""
        for process in (self.daemon, self.display):
            process.__exit__()
        for sender in (self._scope, self._stimulus, self._camera):
            sender.close()
        self._subscriber.close()

    def _send_frame(self) -> None:
        self.n_frames += 1
        life, now = self.lives[-1], self.disturbance
        is_tenth = self.n_frames % 10 == 0
        if now.skip_frames and is_tenth:
            life.n_lost_at_source += 1
            return
        is_lost = now.skip_messages and is_tenth
        is_sent = self._scope.send_numbered(
            self._make_image(), self.n_frames, now.microscope_clock_s, is_lost=is_lost
        )
        life.n_lost_in_network += is_lost
        life.n_taken += is_sent
        life.n_dropped += not is_sent and not is_lost

    def _make_image(self) -> Array:
        now = self.disturbance
        image = self._frames[self.n_frames % len(self._frames)]
        if now.is_shutter_closed:
            return self._rng.normal(40, 12, image.shape).astype(np.int16)
        if now.is_wrong_field:
            image = image[::-1, ::-1]
        return np.ascontiguousarray(np.roll(image, now.shift_px, (0, 1)))

    def _send_stimulus(self) -> None:
        if self.disturbance.is_stimulus_dead:
            return
        index = self.n_frames % len(self._frames)
        image = self._session.movie[index]
        self._stimulus.send(
            messages.StimulusFrame,
            image,
            clip="leaves",
            index=index,
            shape=image.shape,
            t_send=time.time() + self.disturbance.stimulus_clock_s,
        )

    def _send_behavior(self) -> None:
        if self.disturbance.is_camera_dead:
            return
        index = self.n_frames % len(self._frames)
        behavior = self._session.behavior
        self._camera.send(
            messages.BehaviorSample,
            t_send=time.time(),
            pupil_dilation=float(behavior.pupil_dilation[index]),
            running_speed=float(behavior.running_speed[index]),
        )

    def _receive(self) -> None:
        for message, _ in self._subscriber.receive_pending():
            if isinstance(message, messages.Event) and not message.rule:
                self.events[message.name] += 1
            elif isinstance(message, messages.Health) and message.process == "daemon":
                self.conditions.update(message.conditions.keys())
                if message.session == self.session:
                    self.lives[-1].health = message


def _render_frames(session: SimulatedSession) -> Array:
    shape = session.recording.field.tissue.shape
    frames = np.empty((len(session), *shape), np.int16)
    for index, pixels in enumerate(frames):
        session.recording.render_frame(index, pixels)
    return frames


def _list_children(parent: int, command: str) -> list[int]:
    """Return the processes of a parent whose command line has this word."""
    pids = (Path(f"/proc/{parent}/task/{parent}/children")).read_text().split()
    return [
        int(pid)
        for pid in pids
        if command in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    ]
