"""A small simulated microscope that sends frames to a daemon."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.config import RoiSettings, Settings
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.simulate.session import SimulatedSession, stream_session
from rtrecon.testing.daemon_process import (
    REPLY_TIMEOUT_S,
    DaemonProcess,
    make_settings,
)
from rtrecon.testing.synthetic_field import make_field
from rtrecon.transport.keys import get_client_keys
from rtrecon.transport.senders import SessionSender

SHAPE, RATE_HZ = (128, 128), 30.0


class SimulatedMicroscope:
    """Sends the frames of `make_small_frames`, over and over.

    Entering waits for the daemon, and no frame is dropped. With `wait` False it behaves
    like a real microscope: it waits for nothing and drops what cannot be sent.
    """

    def __init__(
        self,
        daemon: DaemonProcess,
        wait: bool = True,
        shape: tuple[int, int] = SHAPE,
        rate_hz: float = RATE_HZ,
    ) -> None:
        self.daemon = daemon
        self.frames = make_small_frames()
        self.n_sent = 0
        network = daemon.settings.network
        start: dict[str, Any] = {"source": "scope", "rate_hz": rate_hz, "shape": shape}
        self.sender = SessionSender(network.frames, get_client_keys(network), **start)
        self.sender.queue_timeout_s = REPLY_TIMEOUT_S if wait else 0.0
        self.session = self.sender.session
        self._rate_hz = rate_hz

    def __enter__(self) -> SimulatedMicroscope:
        if self.sender.queue_timeout_s:
            assert self.sender.wait_for_daemon(self.sender.queue_timeout_s)
        return self

    def __exit__(self, *_: object) -> None:
        self.sender.close()

    def send_frames(self, count: int) -> None:
        """Send frames as fast as the daemon takes them."""
        for _ in range(count):
            self.send_next_frame()
            self.daemon.receive()

    def send_frames_until(
        self, condition: Callable[[], object], timeout_s: float = REPLY_TIMEOUT_S
    ) -> None:
        """Send frames in real time until the condition holds."""
        start_s = due_s = time.monotonic()
        while not condition():
            assert due_s - start_s < timeout_s, (
                f"the condition did not hold in {timeout_s:g} s:\n{self.daemon.output}"
            )
            self.send_next_frame()
            due_s += 1 / self._rate_hz
            while (remaining_s := due_s - time.monotonic()) > 0:
                self.daemon.receive(remaining_s)

    def wait_until_processed(self, n_refused: int = 0) -> messages.Health:
        """Wait until the daemon has processed all frames; return its health.

        n_refused: how many of them it refuses. Its own count of refused messages says
        less: it includes late frames of the session before.
        """

        def is_processed() -> bool:
            health = self.daemon.newest_health()
            if health is None or health.session != self.session:
                return False
            return health.frames_processed >= self.sender.n_sent - n_refused

        self.daemon.wait_until(is_processed)
        health = self.daemon.newest_health()
        assert health is not None
        return health

    def send_next_frame(self) -> None:
        """Send one frame."""
        pixels = self.frames[self.n_sent % len(self.frames)]
        self.n_sent += 1
        self.sender.send_frame(pixels, self.n_sent, (self.n_sent - 1) / self._rate_hz)


def make_small_frames(shift_px: tuple[float, float] = (0.0, 0.0)) -> Array:
    """Return frames of one field, int16 (20, 128, 128): shifted, and with jitter."""
    rng = np.random.default_rng(0)
    field = make_field(SHAPE)
    shifts = rng.normal(0, 0.5, (20, 2)) + shift_px
    return np.stack(
        [
            field.render_frame(20, rng, shift, rng.random(field.n_cells))
            for shift in shifts
        ]
    )


def make_small_settings(folder: Path, **sections: Any) -> Settings:
    """Return settings for a daemon that reads that field's cells, without encoder."""
    rois = make_field(SHAPE).make_rois()
    pixels = np.stack([rois.rows, rois.cols], axis=1).tolist()
    spans = zip(rois.indptr, rois.indptr[1:], strict=False)
    regions = [{"coordinates": pixels[first:last]} for first, last in spans]
    path = folder / "regions.json"
    path.write_text(json.dumps(regions))
    return make_settings(folder, **({"rois": RoiSettings(path=path)} | sections))


class _StopStreaming(Exception):
    pass


def stream_and_receive(
    session: SimulatedSession,
    sender: SessionSender,
    daemon: DaemonProcess,
    until: Callable[[int], bool] = lambda index: False,
) -> None:
    """Stream a simulated session in real time and receive what the daemon publishes.

    `until` is called with each frame's index; True stops without an end message.
    """

    def on_frame(index: int) -> None:
        daemon.receive()
        if until(index):
            raise _StopStreaming

    with suppress(_StopStreaming):
        stream_session(session, sender, on_frame)
