"""The demo of neurons in a dish: a simulated time-lapse, live, twenty hours in minutes.

The pictures go through the same wire, daemon and recording as those of a microscope;
only the time between two of them is shorter.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrecon.config import LiveDishSettings, RecordingSettings, Settings
from rtrecon.core.process import lower_priority
from rtrecon.demo.child_processes import ChildProcesses, child_processes
from rtrecon.demo.dish_results import summarize_dish, write_dish_results
from rtrecon.demo.processes import start_processes, stop_daemon, wait_for_daemon
from rtrecon.demo.rig import make_network
from rtrecon.demo.streaming import (
    Notify,
    OnFrame,
    make_frame_reporter,
    require_length,
)
from rtrecon.protocol.fields import UM_PER_PX
from rtrecon.session.session import Session
from rtrecon.simulate.dish.film import film_dish
from rtrecon.simulate.dish.scene import DishScene
from rtrecon.simulate.dish.truth import DishTruth
from rtrecon.transport.rpc import RpcError, call_daemon
from rtrecon.transport.senders import SessionSender

_FRAMES_PER_S, _INTERVAL_S = 2.0, 300.0  # of the demo, and of the simulated dish
_TOTAL_GROWTH_PX = 240.0  # of a tip, however long the demo is: no dish is too dense
_LINGER_S, _ASK_EVERY_S = 60.0, 0.1


@dataclass(frozen=True)
class DishDemoRequest:
    """How long the demo lasts, and the folder for its results."""

    seconds: float
    headless: bool
    output_folder: Path
    seed: int = 1
    side_px: int = 512


def run_dish_demo(
    request: DishDemoRequest, notify: Notify, on_frame: OnFrame
) -> dict[str, Any]:
    """Run the demo and return its figures, which are also in `summary.json`.

    Raises UserError.
    """
    require_length(request.seconds)
    scene = make_scene(request)
    settings = make_dish_settings(request.output_folder)
    with child_processes() as children:
        start_processes(children, settings, request.output_folder, request.headless)
        sender = SessionSender(
            settings.network.frames,
            source="simulated dish",
            rate_hz=1 / scene.interval_s,
            shape=(scene.side_px, scene.side_px),
            dtype="uint16",
            meta={UM_PER_PX: scene.um_per_px},
        )
        try:
            wait_for_daemon(children, sender)
            lower_priority()  # a real microscope does not use the daemon's processor
            truth = _stream(scene, sender, children, on_frame)
            _wait_until_traced(settings, sender)
            path = stop_daemon(children, settings)
        finally:
            sender.close()
    notify("Computing the figures, writing the movie")
    session = Session(path)
    summary = summarize_dish(session, truth, scene.um_per_px)
    summary |= {
        "frames_sent": sender.n_sent,
        "frames_dropped_by_sender": sender.n_dropped,
        "peak_memory_mb": dict(children.peak_mb),
    }
    write_dish_results(request.output_folder, session, summary)
    return summary


def make_scene(request: DishDemoRequest) -> DishScene:
    """Return the dish that is simulated."""
    n_frames = round(request.seconds * _FRAMES_PER_S)
    n_neurons = max(3, round(14 * (request.side_px / 512) ** 2))
    return DishScene(
        seed=request.seed,
        side_px=request.side_px,
        n_neurons=n_neurons,
        n_frames=n_frames,
        growth_px=min(4.0, _TOTAL_GROWTH_PX / n_frames),
        interval_s=_INTERVAL_S,
    )


def make_dish_settings(output_folder: Path) -> Settings:
    """Return settings on free ports of this computer, recording into the folder."""
    folder = output_folder.resolve() / "session"
    return Settings(
        network=make_network(),
        dish=LiveDishSettings(enabled=True),
        recording=RecordingSettings(folder=folder, report=False),
    )


def _stream(
    scene: DishScene,
    sender: SessionSender,
    children: ChildProcesses,
    on_frame: OnFrame,
) -> DishTruth:
    """Send the film; return what its last frame shows."""
    report_frame = make_frame_reporter(children, on_frame, scene.n_frames)
    began_s, truth = time.monotonic(), None
    for index, frame in enumerate(film_dish(scene)):
        due_s = began_s + index / _FRAMES_PER_S
        time.sleep(max(0.0, due_s - time.monotonic()))
        sender.send_frame(frame.image, index + 1, frame.t_s)
        report_frame(index)
        truth = frame.truth
    assert truth is not None
    return truth


def _wait_until_traced(settings: Settings, sender: SessionSender) -> None:
    """Wait until the daemon has traced all frames, for a minute at most."""
    deadline_s = time.monotonic() + _LINGER_S
    while time.monotonic() < deadline_s:
        with suppress(RpcError):  # the daemon may still compile its kernels
            status = call_daemon(settings.network.control, "status")
            if status["frames_processed"] >= sender.n_sent:
                return
        time.sleep(_ASK_EVERY_S)
