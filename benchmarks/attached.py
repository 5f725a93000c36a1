"""Runs the demo's loop with displays, a recording and rules attached to it.

All processes are real: a daemon, its inverter, and what `Attached` asks for. One
simulated session is sent in real time, from its beginning again when it is over.
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
from rtrecon.config import (
    ClosedLoopSettings,
    EncoderSettings,
    RecordingSettings,
    Settings,
)
from rtrecon.core.process import lower_priority
from rtrecon.demo.child_processes import ChildProcesses
from rtrecon.encoder.card import find_checkpoint, read_card
from rtrecon.protocol import messages
from rtrecon.simulate.imaged_mouse import make_imaged_mouse, read_imaged_mouse
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import (
    SimulatedSession,
    simulate_session,
    start_message_fields,
)
from rtrecon.testing.daemon_process import make_settings
from rtrecon.transport.rpc import RpcError, call_daemon
from rtrecon.transport.senders import SessionSender

START_TIMEOUT_S = 120.0
END_DELAY_S = 2.0  # between the last frame and the stop of the daemon
SESSION_S = 120.0  # duration of the simulated session, which is repeated
MOVIE_SEED = 9000  # far from the seeds of all movies used in training
MEMORY_INTERVAL_S = 5.0
_PROCESS_NAMES = {  # by the command of `rtrecon`
    "run": "daemon",
    "inverter": "inverter",
    "closed-loop": "closed_loop",
    "display": "displays",
}


@dataclass(frozen=True)
class Attached:
    """What is attached to the loop."""

    n_displays: int = 0
    record: bool = False
    rules: ClosedLoopSettings = field(default_factory=ClosedLoopSettings)


@dataclass(frozen=True)
class LoopResult:
    """What was measured in one run.

    frame_to_traces: latency in the daemon. event_latency_ms: from a frame to the
    event of a rule in a subscriber. memory_mb: per process, one value for each of
    `memory_times_s` from the time on when the process ran.
    """

    frame_to_traces: messages.LatencyPercentiles
    event_latency_ms: np.ndarray
    memory_times_s: list[float]
    memory_mb: dict[str, list[float]]


def run(seconds: float, attached: Attached, folder: Path) -> LoopResult:
    """Run the loop for so many seconds; a recording is in `folder`.

    Runs in a separate process, because the simulated microscope lowers its priority,
    and a process cannot raise it again.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as executor:
        return executor.submit(_run_here, seconds, attached, folder).result()


def memory_growth_mb(result: LoopResult) -> dict[str, float]:
    """Return the growth of each process: its last tenth minus its second sixth.

    The first sixth is left out: templates, windows and caches are allocated then.
    """
    return {name: _growth(np.array(mb)) for name, mb in result.memory_mb.items()}


def _run_here(seconds: float, attached: Attached, folder: Path) -> LoopResult:
    session = _simulate_session(min(seconds, SESSION_S))
    settings = _make_settings(folder, attached)
    file = folder / "settings.json"
    file.write_text(config.dump(settings), encoding="utf-8")
    memory_times_s: list[float] = []
    memory_mb: dict[str, list[float]] = {}
    with _start_processes(file, settings, attached) as subscriber:
        lower_priority()  # a real microscope takes no processor time from the daemon
        fields = start_message_fields(session)
        sender = SessionSender(settings.network.frames, None, **fields)
        began_s = time.monotonic()

        def measure_memory(index: int) -> None:
            if index % round(MEMORY_INTERVAL_S * RATE_HZ) == 0:
                memory_times_s.append(time.monotonic() - began_s)
                for name, used_mb in _measure_memory_mb().items():
                    memory_mb.setdefault(name, []).append(used_mb)

        try:
            _stream(session, sender, round(seconds * RATE_HZ), measure_memory)
        finally:
            sender.close()
        time.sleep(END_DELAY_S)
        call_daemon(settings.network.control, "stop")
        output, _ = subscriber.communicate(timeout=START_TIMEOUT_S)
    received = json.loads(output)
    frame_to_traces = messages.LatencyPercentiles(**received["frame_to_traces"])
    latency_ms = np.array(received["event_latency_ms"])
    return LoopResult(frame_to_traces, latency_ms, memory_times_s, memory_mb)


def _simulate_session(seconds: float) -> SimulatedSession:
    """Return a session of the mouse that the shipped encoder was trained on."""
    card = read_card(find_checkpoint("demo"))
    imaged = make_imaged_mouse(read_imaged_mouse(card.metadata, card.path))
    movie = make_natural_movie(round(seconds * RATE_HZ), MOVIE_SEED)
    return simulate_session(imaged, movie, "leaves", MOVIE_SEED)


def _make_settings(folder: Path, attached: Attached) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    recording = RecordingSettings(
        enabled=attached.record, folder=str(folder / "recordings"), report=False
    )
    encoder = EncoderSettings(checkpoint="demo")
    return make_settings(
        folder, encoder=encoder, recording=recording, closed_loop=attached.rules
    )


@contextmanager
def _start_processes(
    file: Path, settings: Settings, attached: Attached
) -> Iterator[subprocess.Popen[str]]:
    """Start all processes, wait until they run, and yield the event subscriber."""
    children, network = ChildProcesses(), settings.network
    program = Path(__file__).with_name("event_subscriber.py")
    subscriber = subprocess.Popen(
        [sys.executable, program, network.publish], stdout=subprocess.PIPE, text=True
    )
    try:
        children.start("daemon", "run", str(file))
        for number in range(attached.n_displays):
            arguments = ["--publish", network.publish, "--control", network.control]
            arguments += ["--headless", "--close-with-daemon"]
            children.start(f"display {number}", "display", *arguments)
        _wait_for_inverter(network.control)
        yield subscriber
        children.wait_for_exit(START_TIMEOUT_S)
    finally:
        children.terminate()
        subscriber.kill()
        subscriber.wait()


def _wait_for_inverter(address: str) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s:
        try:
            if call_daemon(address, "status")["inverting"]:
                return
        except RpcError:
            pass  # the daemon still starts
        time.sleep(0.1)
    raise RuntimeError("the daemon did not start; its error is above")


def _stream(
    session: SimulatedSession,
    sender: SessionSender,
    n_frames: int,
    on_frame: Callable[[int], None],
) -> None:
    """Send frames in real time; the session begins again when it is over."""
    pixels = np.empty(session.recording.field.tissue.shape, np.int16)
    sender.wait_for_daemon(START_TIMEOUT_S)
    session.recording.render_frame(0, pixels)  # compile before time counts
    began_s = time.monotonic()
    for index in range(n_frames):
        session_index, t = index % len(session), index / session.rate_hz
        session.recording.render_frame(session_index, pixels)
        time.sleep(max(0.0, began_s + t - time.monotonic()))
        speed = float(session.behavior.running_speed[session_index])
        dilation = float(session.behavior.pupil_dilation[session_index])
        sender.send_behavior(t, pupil_dilation=dilation, running_speed=speed)
        image = session.movie[session_index]
        sender.send_stimulus(image, session.clip_name, index, t)
        sender.send_frame(pixels, index + 1, t)
        on_frame(index)
    sender.send_end("complete")


def _measure_memory_mb() -> dict[str, float]:
    """Return the memory of each kind of process that this process has started."""
    memory_mb: dict[str, float] = {}
    for child in psutil.Process().children(recursive=True):
        try:
            command, used_mb = child.cmdline(), child.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            continue
        words = command[command.index("rtrecon") + 1 :] if "rtrecon" in command else []
        if words and words[0] in _PROCESS_NAMES:
            name = _PROCESS_NAMES[words[0]]
            memory_mb[name] = memory_mb.get(name, 0.0) + used_mb
    return memory_mb


def _growth(used_mb: Any) -> float:
    n = len(used_mb)
    early = used_mb[n // 6 : max(n // 3, n // 6 + 1)]
    late = used_mb[-max(1, n // 10) :]
    return float(np.median(late) - np.median(early))
