"""The demo's loop with more or less attached to it, and what that costs.

One simulated session, again and again from its beginning, through real processes: a
daemon with its inverter, and what a run asks for of displays, a record and rules.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from rtrecon import config
from rtrecon.config import EncoderSettings, ReactSettings, RecordSettings, Settings
from rtrecon.core.process import give_way
from rtrecon.demo.demo import Companions
from rtrecon.encoder.card import find, read_card
from rtrecon.protocol import messages
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.simulate.session import Session, make_session, make_world, start_fields
from rtrecon.testing.daemon_process import settings_in
from rtrecon.transport.control import ControlError, ask
from rtrecon.transport.sender import Sender

_START_S = 120.0
_LINGER_S = 2.0
_SESSION_S = 120.0  # simulated once, and shown again and again
_MOVIE_SEED = 9000  # far from every movie trained on
_MEMORY_EVERY_S = 5.0
_PROGRAMS = {
    "run": "front",
    "invert": "inverter",
    "reactor": "reactor",
    "display": "displays",
}


@dataclass(frozen=True)
class Attached:
    """What is attached to the loop."""

    displays: int = 0
    record: bool = False
    react: ReactSettings = field(default_factory=ReactSettings)


@dataclass(frozen=True)
class Found:
    """What a run showed. memory_mb: per process, one value each `memory_s`."""

    front: messages.Percentiles  # from a frame to its traces
    react_ms: np.ndarray  # from a frame to the event, in the ear of a listener
    memory_s: list[float]
    memory_mb: dict[str, list[float]]


def run(seconds: float, attached: Attached, folder: Path) -> Found:
    """Run the loop for so long; what it recorded is in `folder`.

    In a process of its own, for the microscope gives way to the daemon, and who once
    gave way does so for good, with all that it starts.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as aside:
        return aside.submit(_run, seconds, attached, folder).result()


def _simulated(seconds: float) -> Session:
    """Return a session of the mouse that the shipped encoder was trained on."""
    mouse = read_card(find("demo")).meta["simulated"]
    world = make_world(mouse["n_neurons"], mouse["side_px"], mouse["mouse_seed"])
    movie = natural_movie(round(seconds * RATE_HZ), _MOVIE_SEED)
    return make_session(world, movie, "leaves", _MOVIE_SEED)


def _run(seconds: float, attached: Attached, folder: Path) -> Found:
    session = _simulated(min(seconds, _SESSION_S))
    settings = _settings(folder, attached)
    file = folder / "settings.json"
    file.write_text(config.dump(settings), encoding="utf-8")
    memory_s: list[float] = []
    memory_mb: dict[str, list[float]] = {}
    with _rig(file, settings, attached) as listener:
        give_way()  # a real microscope takes none of the daemon's processor
        sender = Sender(settings.wire.frames, **start_fields(session))
        began_s = time.monotonic()

        def told(index: int) -> None:
            if index % round(_MEMORY_EVERY_S * RATE_HZ) == 0:
                memory_s.append(time.monotonic() - began_s)
                for name, held_mb in _memory_mb().items():
                    memory_mb.setdefault(name, []).append(held_mb)

        try:
            _stream(session, sender, round(seconds * RATE_HZ), told)
        finally:
            sender.close()
        time.sleep(_LINGER_S)
        ask(settings.wire.control, "stop")
        heard = json.loads(listener.communicate(timeout=_START_S)[0])
    front = messages.Percentiles(**heard["front"])
    return Found(front, np.array(heard["react_ms"]), memory_s, memory_mb)


def _settings(folder: Path, attached: Attached) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    record = RecordSettings(
        enabled=attached.record, folder=str(folder / "recordings"), report=False
    )
    encoder = EncoderSettings(checkpoint="demo")
    return settings_in(folder, encoder=encoder, record=record, react=attached.react)


@contextmanager
def _rig(
    file: Path, settings: Settings, attached: Attached
) -> Iterator[subprocess.Popen[str]]:
    """Start everything, wait until it is up, and yield who listens."""
    companions, doors = Companions(), settings.wire
    listener = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("listening.py"), doors.publish],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        companions.start("front", "run", str(file))
        for number in range(attached.displays):
            arguments = ["--publish", doors.publish, "--control", doors.control]
            arguments += ["--headless", "--close-with-daemon"]
            companions.start(f"display {number}", "display", *arguments)
        _wait_for_inverter(doors.control)
        yield listener
        companions.wait(_START_S)
    finally:
        companions.end()
        listener.kill()
        listener.wait()


def _wait_for_inverter(address: str) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        try:
            if ask(address, "status")["inverting"]:
                return
        except ControlError:
            pass  # still warming up
        time.sleep(0.1)
    raise RuntimeError("the daemon did not start; what it said is above")


def _stream(
    session: Session, sender: Sender, n_frames: int, told: Callable[[int], None]
) -> None:
    """Send frames in real time, the session from its beginning when it is over."""
    pixels = np.empty(session.recording.field.tissue.shape, np.int16)
    sender.wait_for_daemon(_START_S)
    session.recording.frame(0, pixels)  # what is compiled now makes no frame late
    began_s = time.monotonic()
    for index in range(n_frames):
        place, t = index % len(session), index / session.rate_hz
        session.recording.frame(place, pixels)
        time.sleep(max(0.0, began_s + t - time.monotonic()))
        speed = float(session.behavior.running_speed[place])
        dilation = float(session.behavior.pupil_dilation[place])
        sender.behavior(t, pupil_dilation=dilation, running_speed=speed)
        sender.stimulus(session.movie[place], session.name, index, t)
        sender.frame(pixels, index + 1, t)
        told(index)
    sender.end("complete")


def _memory_mb() -> dict[str, float]:
    """Return what each kind of process that was started here holds."""
    held: dict[str, float] = {}
    for child in psutil.Process().children(recursive=True):
        try:
            command, used = child.cmdline(), child.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            continue
        words = command[command.index("rtrecon") + 1 :] if "rtrecon" in command else []
        if words and words[0] in _PROGRAMS:
            name = _PROGRAMS[words[0]]
            held[name] = held.get(name, 0.0) + used
    return held


def growth_mb(found: Found) -> dict[str, float]:
    """Return by how much each process grew: its last tenth over its second sixth.

    What is taken in the first sixth is the session's own: templates, windows, caches.
    """
    return {name: _growth(np.array(held)) for name, held in found.memory_mb.items()}


def _growth(held: Any) -> float:
    n = len(held)
    settled, last = held[n // 6 : max(n // 3, n // 6 + 1)], held[-max(1, n // 10) :]
    return float(np.median(last) - np.median(settled))
