"""From sender to daemon: how long it takes and what is lost, by transport and rate.

A real daemon reads 291 neurons in 512 x 512 frames and records; all times are those in
its recording. `benchmarks/bridge.py` prints them.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from rtrecon.config import RoiSettings, Settings
from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.testing import small_field
from rtrecon.testing.daemon_process import Daemon, settings_in
from rtrecon.testing.framed_sender import FramedSender
from rtrecon.transport.keys import keys_of_client, make_keys
from rtrecon.transport.sender import Sender

SHAPE, RATE_HZ, FAST_HZ = (512, 512), 30.0, 200.0
N_DIFFERENT = 20  # frames, sent again and again
WARM_S = 3.0  # in which the reference is made; not counted
BEHIND_S = 0.2  # of the newest activity, once nothing waits any more
PATIENCE_S = 60.0

Figures = dict[str, float]


def transports(seconds: float) -> dict[str, Figures]:
    """Return the hop of each transport at 30 Hz, and ZeroMQ's at 200 Hz."""
    found = {}
    with _daemon(with_keys=False) as daemon:
        found["ZeroMQ"] = _run(daemon, "ZeroMQ", RATE_HZ, seconds)
        found["framed TCP"] = _run(daemon, "framed TCP", RATE_HZ, seconds)
        found["ZeroMQ, 200 Hz"] = _run(daemon, "ZeroMQ", FAST_HZ, seconds)
        found["framed TCP, 200 Hz"] = _run(daemon, "framed TCP", FAST_HZ, seconds)
    with _daemon(with_keys=True) as daemon:
        found["ZeroMQ, encrypted"] = _run(daemon, "ZeroMQ", RATE_HZ, seconds)
        found["ZeroMQ, encrypted, 200 Hz"] = _run(daemon, "ZeroMQ", FAST_HZ, seconds)
    return found


def soak(seconds: float) -> Figures:
    """Return what a long session at 30 Hz lost, and the daemon's peak memory."""
    with _daemon(with_keys=False) as daemon:
        figures = _run(daemon, "ZeroMQ", RATE_HZ, seconds)
        health = daemon.health()
        return {**figures, "peak_memory_mb": health.peak_memory_mb if health else 0.0}


@contextmanager
def _daemon(with_keys: bool) -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = settings_in(folder, rois=RoiSettings(path=str(_masks(folder))))
        if with_keys:
            make_keys(folder / "keys")
            settings = _with(settings, keys=str(folder / "keys"))
        with Daemon(folder, _with(settings, idle_timeout_s=10.0)) as daemon:
            yield daemon


def _with(settings: Settings, **given: Any) -> Settings:
    return settings.model_copy(update={"wire": settings.wire.model_copy(update=given)})


def _masks(folder: Path) -> Path:
    rois, path = small_field.field(SHAPE).rois(), folder / "regions.json"
    discs = [np.stack(p[:2], axis=1).tolist() for p in rois.pixels()]
    path.write_text(json.dumps([{"coordinates": disc} for disc in discs]))
    return path


@contextmanager
def _sender(daemon: Daemon, transport: str) -> Iterator[Sender | FramedSender]:
    to = daemon.settings.wire
    if transport == "framed TCP":
        with FramedSender(to.tcp) as framed:
            framed.start(SHAPE)
            yield framed
        return
    layout = {"source": "benchmark", "rate_hz": RATE_HZ, "shape": SHAPE}
    with closing(Sender(to.frames, keys_of_client(to), **layout)) as sender:
        if not sender.wait_for_daemon(PATIENCE_S):
            raise RuntimeError("the daemon takes no frames")
        yield sender


def _run(daemon: Daemon, transport: str, rate_hz: float, seconds: float) -> Figures:
    """Send until the daemon is warm, then for so many seconds, of which to tell."""
    with _sender(daemon, transport) as sender:
        scan = _scan(daemon, sender, rate_hz)
        warm, behind = WARM_S * rate_hz, BEHIND_S * rate_hz
        while (first := next(scan)) < warm or _waiting(daemon, sender) > behind:
            pass
        for _ in track(range(round(seconds * rate_hz)), f"{transport}, {rate_hz:g} Hz"):
            next(scan)
        daemon.until(lambda: _is_done(daemon, sender), PATIENCE_S)
        return _figures(daemon, sender, first)


def _scan(
    daemon: Daemon, sender: Sender | FramedSender, rate_hz: float
) -> Iterator[int]:
    """Send a frame whenever it is due, and yield its number."""
    frames = _frames()  # takes seconds, in which none is due yet
    began_s = time.monotonic()
    for number in itertools.count(1):
        time.sleep(max(0.0, began_s + number / rate_hz - time.monotonic()))
        sender.frame(frames[number % N_DIFFERENT], number, number / rate_hz)
        daemon.listen()
        yield number


def _waiting(daemon: Daemon, sender: Sender | FramedSender) -> float:
    """Return how many frames are sent and their activity is not told yet."""
    newest = next((m for m, _ in reversed(daemon.heard) if _is_activity(m)), None)
    if newest is None or newest.session != sender.session:
        return inf
    return sender.sent - newest.frame


def _is_activity(message: messages.Published) -> bool:
    return isinstance(message, messages.Activity)


def _is_done(daemon: Daemon, sender: Sender | FramedSender) -> bool:
    health = daemon.health()
    if not health or health.session != sender.session:
        return False
    done = health.frames_processed + health.lost["reference"]
    recorded = len(_recorded(daemon, sender.session))
    return done >= sender.sent and recorded >= health.frames_processed


def _recorded(daemon: Daemon, session: str) -> Any:
    (record,) = daemon.records(session)
    return record.frames


def _figures(daemon: Daemon, sender: Sender | FramedSender, first: int) -> Figures:
    table = _recorded(daemon, sender.session)
    warm = table["frame"] >= first
    hop_ms = 1e3 * (table["t_received"] - table["t_send"])[warm]
    if not len(hop_ms):
        raise RuntimeError("no frame came through; is this machine busy otherwise?")
    p50, p99 = np.percentile(hop_ms, [50, 99])
    before_reference = daemon.health().lost["reference"]
    return {
        "sent": sender.sent,
        "dropped": sender.dropped,
        "lost": sender.sent - len(table) - before_reference,
        "hop_ms_p50": round(float(p50), 3),
        "hop_ms_p99": round(float(p99), 3),
        "traces_ms_p99": round(float(np.percentile(table["latency_ms"][warm], 99)), 2),
    }


def _frames() -> list[Array]:
    rng, field = np.random.default_rng(0), small_field.field(SHAPE)
    return [
        field.frame(20, rng, rng.normal(0, 0.5, 2), rng.random(field.n_cells))
        for _ in range(N_DIFFERENT)
    ]
