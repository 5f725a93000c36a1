"""The demo of a new mouse: no encoder at first, and a live movie in the same session.

The first minutes are sent in haste, so that nobody has to wait for them; then the
session goes on in real time.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.config import (
    CalibrationSettings,
    EncoderSettings,
    RoiSettings,
    Settings,
)
from rtrecon.core.process import lower_priority
from rtrecon.demo.child_processes import ChildProcesses, child_processes
from rtrecon.demo.processes import start_processes, wait_for_daemon
from rtrecon.demo.results import summarize_demo, write_results
from rtrecon.demo.rig import make_settings
from rtrecon.demo.streaming import (
    Notify,
    OnFrame,
    describe_sender,
    finish_session,
    make_frame_reporter,
    require_length,
)
from rtrecon.rois.roi_set import RoiSet
from rtrecon.session.session import Session
from rtrecon.simulate.imaged_mouse import ImagedMouseOptions, make_imaged_mouse
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import (
    SimulatedSession,
    simulate_session,
    start_message_fields,
    stream_session,
)
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.transport.senders import SessionSender

N_NEURONS, SIDE_PX = 200, 256
FAST_MINUTES = 2.5  # a little more than the first training needs
_SPEED = 6.0
_CLIP_FRAMES = 150
_MOVIE_SEED, _MOUSE_SEED = 6000, 300  # no training of a shipped encoder uses them
_QUEUE_TIMEOUT_S = 20.0  # a frame that the daemon has no room for waits


@dataclass(frozen=True)
class NewMouseRequest:
    """How long the session is, and the folder for the results."""

    seconds: float
    headless: bool
    output_folder: Path
    seed: int = 1


def run_new_mouse_demo(
    request: NewMouseRequest, notify: Notify, on_frame: OnFrame
) -> dict[str, Any]:
    """Run the demo and return its figures, which are also in `summary.json`.

    Raises UserError.
    """
    start_s = time.time()
    require_length(request.seconds)
    notify(f"Simulating a new mouse with {N_NEURONS} neurons and its session")
    session = _simulate_session(request)
    settings = make_new_mouse_settings(
        request.output_folder, session.recording.field.masks
    )
    with child_processes() as children:
        start_processes(children, settings, request.output_folder, request.headless)
        lower_priority()  # a real microscope does not use the daemon's processor
        fields = start_message_fields(session) | {"can_wait": True}
        sender = SessionSender(settings.network.frames, None, **fields)
        sender.queue_timeout_s = _QUEUE_TIMEOUT_S
        try:
            path = _stream(session, sender, children, settings, on_frame)
        finally:
            sender.close()
    notify("Computing the figures, writing the movie and the report")
    recorded = Session(path)
    measured = describe_sender(sender, children)
    measured["calibration"] = _describe_calibration(recorded)
    summary = summarize_demo(recorded, start_s, measured)
    write_results(request.output_folder, recorded, summary)
    return summary


def choose_speed(index: int) -> float:
    """Return how many times faster than in real time a frame is sent."""
    return _SPEED if index < FAST_MINUTES * 60 * RATE_HZ else 1.0


def make_new_mouse_settings(output_folder: Path, masks: RoiSet) -> Settings:
    """Return settings without an encoder, and write the masks that they name."""
    output_folder.mkdir(parents=True, exist_ok=True)
    path = output_folder.resolve() / "regions.json"
    pixels = np.stack([masks.rows, masks.cols], axis=1).tolist()
    bounds = pairwise(masks.indptr.tolist())
    regions = [{"coordinates": pixels[first:last]} for first, last in bounds]
    path.write_text(json.dumps(regions), encoding="utf-8")
    settings = make_settings(output_folder, "demo")
    return settings.model_copy(
        update={
            "encoder": EncoderSettings(),
            "rois": RoiSettings(path=path),
            "calibration": CalibrationSettings(),
        }
    )


def _simulate_session(request: NewMouseRequest) -> SimulatedSession:
    options = SubjectOptions(n_neurons=N_NEURONS, mouse_seed=_MOUSE_SEED + request.seed)
    imaged = make_imaged_mouse(ImagedMouseOptions(options, SIDE_PX))
    seed = _MOVIE_SEED + request.seed
    n_frames = round(request.seconds * RATE_HZ)
    movie = make_natural_movie(n_frames, seed, _CLIP_FRAMES)
    return simulate_session(imaged, movie, "clips", seed)


def _stream(
    session: SimulatedSession,
    sender: SessionSender,
    children: ChildProcesses,
    settings: Settings,
    on_frame: OnFrame,
) -> Path:
    """Stream the session and stop the daemon; return the folder of the recording."""
    wait_for_daemon(children, sender)
    report_frame = make_frame_reporter(
        children, on_frame, len(session), every=round(RATE_HZ)
    )
    stream_session(session, sender, report_frame, choose_speed)
    return finish_session(children, settings)


def _describe_calibration(session: Session) -> dict[str, Any] | None:
    """Return the newest scores of the calibration; None if there are none."""
    if not session.calibration:
        return None
    newest = session.calibration[-1]
    names = ("minutes", "n_responsive", "response_r", "movie_r", "n_encoders")
    return {name: getattr(newest, name) for name in names}
