"""A whole rig on one machine: simulated microscope, daemon, inverter and display.

The same processes, the same wire, the same record as on a rig; only the light is
simulated. The mouse is the one that the shipped encoder was trained on, the movie one
that it never saw.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from rtrecon import config
from rtrecon.analysis.report import write_report
from rtrecon.config import (
    RecordSettings,
    RegisterSettings,
    Settings,
    SubjectSettings,
    WireSettings,
)
from rtrecon.core.errors import UserError
from rtrecon.core.process import give_way
from rtrecon.core.types import Array
from rtrecon.encoder.card import find, read_card
from rtrecon.session.session import Session as Record
from rtrecon.session.summary import summarise
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.simulate.session import (
    Session,
    make_session,
    make_world,
    start_fields,
    stream,
)
from rtrecon.sources.video import read_clip, write_movie
from rtrecon.transport.control import ControlError, ask
from rtrecon.transport.sender import Sender

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0
_LINGER_S = 1.5  # after the last frame, for the last hops to be inverted
_MOVIE_SEED = 5000  # far from every movie trained on
_WATCH_EVERY_FRAMES = 30
_ASK_EVERY_S = 0.1
_TEMPLATE_FRAMES = 30  # a second: who tries the demo wants to see the movie
_SCALE = 6  # screen pixels per movie pixel in the video file

Log = Callable[[str], None]
OnFrame = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """What to show and where results go."""

    seconds: float
    headless: bool
    out: Path
    video: Path | None = None
    seed: int = 1


class Companions:
    """The processes beside this one; ended with it, their memory watched."""

    def __init__(self) -> None:
        self.peak_mb: dict[str, float] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        """Start `rtrecon` with these arguments."""
        command = [sys.executable, "-m", "rtrecon", *arguments]
        self._running[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def is_running(self, name: str) -> bool:
        """Tell whether it is still there."""
        return self._running[name].poll() is None

    def watch(self) -> None:
        """Note how much memory each holds."""
        for name, process in self._running.items():
            try:
                held = psutil.Process(process.pid).memory_info().rss / 2**20
            except psutil.NoSuchProcess:
                continue
            self.peak_mb[name] = max(self.peak_mb.get(name, 0.0), held)

    def wait(self, timeout_s: float) -> None:
        """Wait for all to end by themselves."""
        deadline = time.monotonic() + timeout_s
        for process in self._running.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def end(self) -> None:
        """End whatever is left."""
        for process in self._running.values():
            process.terminate()
        self.wait(_STOP_TIMEOUT_S)


def run(plan: Plan, log: Log, on_frame: OnFrame) -> dict[str, Any]:
    """Run the demo and return its figures, which are also in `summary.json`."""
    began_s = time.time()
    headless = plan.headless or not _has_screen()
    if plan.seconds < 3:
        raise UserError(f"seconds = {plan.seconds:g} is too short; give 3 or more")
    clip = read_clip(plan.video) if plan.video else None  # it may be none at all
    plan.out.mkdir(parents=True, exist_ok=True)
    settings = _settings(plan.out)
    file = plan.out / "settings.json"
    file.write_text(config.dump(settings), encoding="utf-8")
    with _companions() as companions:
        companions.start("front", "run", str(file))
        companions.start("display", *_display_arguments(plan, settings, headless))
        log("growing the mouse and preparing the session")
        session = _session(plan, clip, settings)
        give_way()  # a real microscope takes none of the daemon's processor
        sender = Sender(settings.wire.frames, None, **start_fields(session))
        try:
            path = _stream(session, sender, companions, settings, on_frame)
        finally:
            sender.close()
    log("adding up the figures, writing the movie and the report")
    record = Record(path)
    summary = _summary(record, sender, companions, began_s)
    _write(plan.out, record, summary)
    return summary


def _stream(
    session: Session,
    sender: Sender,
    companions: Companions,
    settings: Settings,
    on_frame: OnFrame,
) -> Path:
    """Stream the session and stop the daemon; returns the recording's folder."""
    if not sender.wait_for_daemon(_START_TIMEOUT_S):
        raise UserError("the daemon did not start; what it said is above")
    _wait_for_inverter(companions, settings)

    def told(index: int) -> None:
        on_frame(index + 1, len(session))
        if index % _WATCH_EVERY_FRAMES == 0:
            companions.watch()
            if not companions.is_running("front"):
                raise UserError("the daemon ended; what it said is above")

    stream(session, sender, told)
    time.sleep(_LINGER_S)
    try:
        status = ask(settings.wire.control, "status")
        ask(settings.wire.control, "stop")
    except ControlError as error:
        raise UserError(f"the daemon was lost before the end: {error}") from None
    companions.wait(_STOP_TIMEOUT_S)
    return Path(status["recording"])


def _wait_for_inverter(companions: Companions, settings: Settings) -> None:
    """Wait until there is somebody to make a movie: the session may be short."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and companions.is_running("front"):
        with suppress(ControlError):  # still warming up
            if ask(settings.wire.control, "status")["inverting"]:
                return
        time.sleep(_ASK_EVERY_S)
    raise UserError("the inverter did not start; what it said is above")


@contextmanager
def _companions() -> Iterator[Companions]:
    companions = Companions()
    try:
        yield companions
    finally:
        companions.end()


def _settings(out: Path) -> Settings:
    frames, publish, control, results = (
        f"tcp://127.0.0.1:{port}" for port in _free_ports(4)
    )
    return Settings(
        wire=WireSettings(
            frames=frames,
            tcp="off",
            publish=publish,
            control=control,
            results=results,
        ),
        register_=RegisterSettings(template_frames=_TEMPLATE_FRAMES),
        encoder=config.EncoderSettings(checkpoint="demo"),
        subject=SubjectSettings(subject_id="simulated", species="Mus musculus"),
        record=RecordSettings(folder=str(out.resolve() / "session"), report=False),
    )


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]
    finally:
        for each in held:
            each.close()


def _display_arguments(plan: Plan, settings: Settings, headless: bool) -> list[str]:
    wire, snapshot = settings.wire, plan.out / "live.png"
    snapshot.unlink(missing_ok=True)  # an old one would pass for this session's
    arguments = ["display", "--publish", wire.publish, "--control", wire.control]
    arguments += ["--close-with-daemon", "--snapshot", str(snapshot)]
    return [*arguments, "--headless"] if headless else arguments


def _has_screen() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _session(plan: Plan, clip: Array | None, settings: Settings) -> Session:
    assert settings.encoder.checkpoint is not None
    card = read_card(find(settings.encoder.checkpoint))
    mouse = card.meta["simulated"]
    world = make_world(mouse["n_neurons"], mouse["side_px"], mouse["mouse_seed"])
    n_frames = round(plan.seconds * RATE_HZ)
    name = plan.video.stem if plan.video else "leaves"
    if clip is None:
        movie = natural_movie(n_frames, _MOVIE_SEED + plan.seed)
    else:
        movie = _repeated(clip, n_frames)
    return make_session(world, movie, name, _MOVIE_SEED + plan.seed)


def _repeated(clip: Array, n_frames: int) -> Array:
    times = -(-n_frames // len(clip))
    return np.concatenate([clip] * times)[:n_frames]


def _summary(
    record: Record, sender: Sender, companions: Companions, began_s: float
) -> dict[str, Any]:
    published_s = np.asarray(record.movie["t"])
    extra: dict[str, Any] = {
        "frames_sent": sender.sent,
        "frames_dropped_by_sender": sender.dropped,
        "peak_memory_mb": {"display": companions.peak_mb.get("display")},
        "first_movie_s": None,
        "movie_interval_ms": None,
        "memory_growth_mb": _memory_growth_mb(record),
    }
    if len(published_s) > 2:
        between_ms = np.diff(published_s) * 1e3
        extra["first_movie_s"] = float(published_s[0] - began_s)
        extra["movie_interval_ms"] = {
            "p50": float(np.median(between_ms)),
            "p99": float(np.percentile(between_ms, 99)),
            "max": float(between_ms.max()),
        }
    return summarise(record, extra)


def _memory_growth_mb(record: Record) -> dict[str, float]:
    """Return by how much each process grew over the second half of the session."""
    growth = {}
    for station in ("front", "inverter"):
        held = [h.memory_mb for h in record.health if h.station == station]
        if len(held) > 4:
            growth[station] = held[-1] - held[len(held) // 2]
    return growth


def _write(out: Path, record: Record, summary: dict[str, Any]) -> None:
    text = json.dumps(summary, indent=2)
    (out / "summary.json").write_text(text + "\n", encoding="utf-8")
    pair = _side_by_side(record)
    if len(pair):
        write_movie(out / "reconstruction.mp4", pair, rate_hz=RATE_HZ, scale=_SCALE)
    write_report(record.path, out / "report.html")


def _side_by_side(record: Record) -> Array:
    """Return uint8 (T, 36, 130): stimulus, a gap, and the final reconstruction."""
    indices, made = record.final_movie()
    shown = dict(
        zip(record.stimulus["index"].tolist(), record.stimulus.values(), strict=True)
    )
    known = [i for i, index in enumerate(indices.tolist()) if index in shown]
    if not known:
        return made
    stimulus = np.stack([shown[int(indices[i])] for i in known])
    gap = np.zeros((len(known), stimulus.shape[1], 2), np.uint8)
    return np.concatenate([stimulus, gap, made[known]], axis=2)
