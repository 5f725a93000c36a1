"""Units that follow a movie, and a sender that shows it to a daemon in haste."""

from __future__ import annotations

import functools
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import zmq
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from rtrecon.config import CalibrationSettings, NetworkSettings, RoiSettings, Settings
from rtrecon.core.files import open_atomically
from rtrecon.protocol import messages
from rtrecon.simulate.behavior import simulate_behavior
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.subjects.simulated import make_simulated_mouse
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.simulate.trial import simulate_trial
from rtrecon.testing.daemon_process import DaemonProcess, make_settings
from rtrecon.transport import sockets
from rtrecon.transport.senders import SessionSender

N_UNITS, SEED = 60, 2
FIRST_MINUTES, CLIP_FRAMES = 1.2, 150
N_FRAMES = 2700
_MOUSE_FRAMES = 300  # of the movie that the mouse is adjusted to
_AUX_LIMIT_HZ = 1e6  # much faster than real time


class UnitSession:
    """Rates of units, the movie that they follow, and behaviour; all of one session."""

    def __init__(self, movie: np.ndarray) -> None:
        self.movie = movie
        options = SubjectOptions(n_neurons=N_UNITS, mouse_seed=SEED)
        mouse = make_simulated_mouse(options, make_natural_movie(_MOUSE_FRAMES, SEED))
        rng = np.random.default_rng(SEED)
        self.behavior = simulate_behavior(len(movie), RATE_HZ, rng)
        trial = simulate_trial(mouse, movie, self.behavior, SEED)
        self.rates = trial.rate.astype(np.float32)


@functools.cache
def make_movie_session() -> UnitSession:
    """A movie of different clips of five seconds, 90 seconds in all."""
    return UnitSession(make_natural_movie(N_FRAMES, SEED, CLIP_FRAMES))


def make_calibration_settings(folder: Path) -> Settings:
    """Return settings of a daemon that expects the rates of units, and calibrates."""
    settings = make_settings(
        folder,
        rois=RoiSettings(unit_rates=True),
        calibration=CalibrationSettings(first_minutes=FIRST_MINUTES, device="cpu"),
    )
    # The session waits for the calibrator, however long that has to wait for a core.
    network: NetworkSettings = settings.network.model_copy(
        update={"aux_rate_limit_hz": _AUX_LIMIT_HZ, "idle_timeout_s": 3600.0}
    )
    return settings.model_copy(update={"network": network})


class UnitSender:
    """Sends a session to a daemon as fast as the daemon takes it; loses nothing."""

    def __init__(self, daemon: DaemonProcess, session: UnitSession) -> None:
        self.session, self._daemon = session, daemon
        self.n_sent = 0
        self.sender = SessionSender(
            daemon.settings.network.frames,
            None,
            unit_ids=range(N_UNITS),
            source="units",
            rate_hz=RATE_HZ,
            can_wait=True,
        )
        self.sender.queue_timeout_s = 20.0
        assert self.sender.wait_for_daemon()

    def __enter__(self) -> UnitSender:
        return self

    def __exit__(self, *_: object) -> None:
        self.sender.close()

    def send(self, count: int, *, with_stimulus: bool = True) -> None:
        """Send the next frames, with what belongs to them."""
        for index in range(self.n_sent, self.n_sent + count):
            t, row = index / RATE_HZ, index % len(self.session.movie)
            behavior = self.session.behavior
            self.sender.send_behavior(
                t,
                pupil_dilation=float(behavior.pupil_dilation[row]),
                running_speed=float(behavior.running_speed[row]),
            )
            if with_stimulus:
                self.sender.send_stimulus(self.session.movie[row], "clips", index, t)
            self.sender.send_frame(self.session.rates[row][None], index + 1, t)
            self._daemon.receive()
        self.n_sent += count


def replace_encoder(path: Path, n_encoders: int) -> None:
    """Write an encoder over itself, as number `n_encoders` of its session."""
    tensors = load_file(path)
    with safe_open(path, framework="numpy") as file:
        metadata = json.loads(file.metadata()["rtrecon"])
    metadata["calibration"]["n_encoders"] = n_encoders
    with open_atomically(path) as temporary:
        save_file(tensors, temporary, {"rtrecon": json.dumps(metadata)})


def publish_as_calibrator(daemon: DaemonProcess, message: messages.Calibration) -> None:
    """Send the daemon a message as its calibrator does."""
    context: sockets.Context = zmq.Context()
    outbox = sockets.connect_socket(
        context, zmq.PUSH, daemon.settings.network.results, None
    )
    outbox.send_multipart(messages.encode_published(message))
    outbox.close(linger=1000)
    context.term()


def raise_calibrator_priority(daemon: DaemonProcess) -> int | None:
    """Let a calibrator run as fast as other programs, where the system allows it.

    Its priority is the lowest: a test would wait for every other program.
    """
    pid = daemon.call("status")["calibrator_pid"]
    if pid is not None:
        with suppress(psutil.Error, PermissionError):
            psutil.Process(pid).nice(0)
    return pid
