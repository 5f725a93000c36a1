"""Latency and loss from sender to daemon, by transport and frame rate.

A real daemon extracts 291 neurons from 512 x 512 frames and records them. All times are
those of its recording. `benchmarks/bridge.py` prints them.
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
from rtrecon.testing import synthetic_field
from rtrecon.testing.daemon_process import DaemonProcess, make_settings
from rtrecon.testing.tcp_sender import TcpSender
from rtrecon.transport.keys import get_client_keys, make_keys
from rtrecon.transport.senders import SessionSender

SHAPE, RATE_HZ, FAST_HZ = (512, 512), 30.0, 200.0
N_DISTINCT_FRAMES = 20  # frames, sent in a cycle
WARM_UP_S = 3.0  # until the reference is made; not counted
MAX_BACKLOG_S = 0.2  # largest age of the newest activity when no frame is queued
TIMEOUT_S = 60.0

Figures = dict[str, float]


def measure_transports(seconds: float) -> dict[str, Figures]:
    """Return the figures of each transport at 30 and 200 Hz."""
    figures = {}
    with _start_daemon(with_keys=False) as daemon:
        figures["ZeroMQ"] = _measure_run(daemon, "ZeroMQ", RATE_HZ, seconds)
        figures["framed TCP"] = _measure_run(daemon, "framed TCP", RATE_HZ, seconds)
        figures["ZeroMQ, 200 Hz"] = _measure_run(daemon, "ZeroMQ", FAST_HZ, seconds)
        figures["framed TCP, 200 Hz"] = _measure_run(
            daemon, "framed TCP", FAST_HZ, seconds
        )
    with _start_daemon(with_keys=True) as daemon:
        figures["ZeroMQ, encrypted"] = _measure_run(daemon, "ZeroMQ", RATE_HZ, seconds)
        figures["ZeroMQ, encrypted, 200 Hz"] = _measure_run(
            daemon, "ZeroMQ", FAST_HZ, seconds
        )
    return figures


def measure_soak(seconds: float) -> Figures:
    """Return the losses of a long session at 30 Hz, and the daemon's peak memory."""
    with _start_daemon(with_keys=False) as daemon:
        figures = _measure_run(daemon, "ZeroMQ", RATE_HZ, seconds)
        health = daemon.newest_health()
        return {**figures, "peak_memory_mb": health.peak_memory_mb if health else 0.0}


@contextmanager
def _start_daemon(with_keys: bool) -> Iterator[DaemonProcess]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = make_settings(
            folder, rois=RoiSettings(path=str(_write_masks(folder)))
        )
        if with_keys:
            make_keys(folder / "keys")
            settings = _replace_network(settings, keys=str(folder / "keys"))
        with DaemonProcess(
            folder, _replace_network(settings, idle_timeout_s=10.0)
        ) as daemon:
            yield daemon


def _replace_network(settings: Settings, **fields: Any) -> Settings:
    return settings.model_copy(
        update={"network": settings.network.model_copy(update=fields)}
    )


def _write_masks(folder: Path) -> Path:
    rois, path = synthetic_field.make_field(SHAPE).make_rois(), folder / "regions.json"
    discs = [np.stack(p[:2], axis=1).tolist() for p in rois.list_pixels()]
    path.write_text(json.dumps([{"coordinates": disc} for disc in discs]))
    return path


@contextmanager
def _open_sender(
    daemon: DaemonProcess, transport: str
) -> Iterator[SessionSender | TcpSender]:
    network = daemon.settings.network
    if transport == "framed TCP":
        with TcpSender(network.tcp) as tcp_sender:
            tcp_sender.send_start(SHAPE)
            yield tcp_sender
        return
    start: dict[str, Any] = {"source": "benchmark", "rate_hz": RATE_HZ, "shape": SHAPE}
    with closing(
        SessionSender(network.frames, get_client_keys(network), **start)
    ) as sender:
        if not sender.wait_for_daemon(TIMEOUT_S):
            raise RuntimeError("the daemon accepts no frames")
        yield sender


def _measure_run(
    daemon: DaemonProcess, transport: str, rate_hz: float, seconds: float
) -> Figures:
    """Send until the daemon is warm, then for `seconds` that are measured."""
    with _open_sender(daemon, transport) as sender:
        scan = _send_paced_frames(daemon, sender, rate_hz)
        warm, behind = WARM_UP_S * rate_hz, MAX_BACKLOG_S * rate_hz
        while (first := next(scan)) < warm or _count_pending(daemon, sender) > behind:
            pass
        for _ in track(range(round(seconds * rate_hz)), f"{transport}, {rate_hz:g} Hz"):
            next(scan)
        daemon.wait_until(lambda: _is_done(daemon, sender), TIMEOUT_S)
        return _compute_figures(daemon, sender, first)


def _send_paced_frames(
    daemon: DaemonProcess, sender: SessionSender | TcpSender, rate_hz: float
) -> Iterator[int]:
    """Send each frame at its time, and yield its number."""
    frames = _render_frames()  # takes seconds; no frame is due before
    began_s = time.monotonic()
    for number in itertools.count(1):
        time.sleep(max(0.0, began_s + number / rate_hz - time.monotonic()))
        sender.send_frame(frames[number % N_DISTINCT_FRAMES], number, number / rate_hz)
        daemon.receive()
        yield number


def _count_pending(daemon: DaemonProcess, sender: SessionSender | TcpSender) -> float:
    """Return how many frames were sent whose activity has not been published."""
    received = (message for message, _ in reversed(daemon.received))
    newest = next((m for m in received if isinstance(m, messages.Activity)), None)
    if newest is None or newest.session != sender.session:
        return inf
    return sender.n_sent - newest.frame


def _is_done(daemon: DaemonProcess, sender: SessionSender | TcpSender) -> bool:
    health = daemon.newest_health()
    if not health or health.session != sender.session:
        return False
    done = health.frames_processed + health.lost["reference"]
    recorded = len(_read_recorded_frames(daemon, sender.session))
    return done >= sender.n_sent and recorded >= health.frames_processed


def _read_recorded_frames(daemon: DaemonProcess, session: str) -> Any:
    (record,) = daemon.recordings(session)
    return record.frames


def _compute_figures(
    daemon: DaemonProcess, sender: SessionSender | TcpSender, first: int
) -> Figures:
    table = _read_recorded_frames(daemon, sender.session)
    warm = table["frame"] >= first
    hop_ms = 1e3 * (table["t_received_s"] - table["t_sent_s"])[warm]
    if not len(hop_ms):
        raise RuntimeError("no frame came through; is this computer busy?")
    p50, p99 = np.percentile(hop_ms, [50, 99])
    health = daemon.newest_health()
    if health is None:
        raise RuntimeError("the daemon has published no health")
    return {
        "sent": sender.n_sent,
        "dropped": sender.n_dropped,
        "lost": sender.n_sent - len(table) - health.lost["reference"],
        "hop_ms_p50": round(float(p50), 3),
        "hop_ms_p99": round(float(p99), 3),
        "traces_ms_p99": round(float(np.percentile(table["latency_ms"][warm], 99)), 2),
    }


def _render_frames() -> list[Array]:
    rng, field = np.random.default_rng(0), synthetic_field.make_field(SHAPE)
    return [
        field.render_frame(20, rng, rng.normal(0, 0.5, 2), rng.random(field.n_cells))
        for _ in range(N_DISTINCT_FRAMES)
    ]
