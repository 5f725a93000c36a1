"""Runs the demo: starts the processes, streams the session, collects the results."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrecon.config import Settings
from rtrecon.core.process import lower_priority
from rtrecon.demo.child_processes import ChildProcesses, child_processes
from rtrecon.demo.processes import (
    start_processes,
    wait_for_daemon,
    wait_for_inverter,
)
from rtrecon.demo.results import (
    SEEN_FIELD_FILE,
    summarize_demo,
    write_results,
    write_seen_field,
)
from rtrecon.demo.rig import make_session, make_settings, read_encoder_mouse
from rtrecon.demo.streaming import (
    Notify,
    OnFrame,
    describe_sender,
    finish_session,
    make_frame_reporter,
    require_length,
)
from rtrecon.session.session import Session
from rtrecon.simulate.imaged_mouse import make_imaged_mouse
from rtrecon.simulate.movie import RATE_HZ
from rtrecon.simulate.session import (
    SimulatedSession,
    start_message_fields,
    stream_session,
)
from rtrecon.simulate.subjects.receptive_fields import describe_seen_field
from rtrecon.sources.video import read_clip
from rtrecon.transport.senders import SessionSender


@dataclass(frozen=True)
class DemoRequest:
    """What to show to which neurons, and the folder for the results.

    encoder: path of a checkpoint, or 'demo'; its neurons are simulated. subject: as the
    user names it, where its file is elsewhere than at the training; None = as stored.
    """

    seconds: float
    headless: bool
    output_folder: Path
    video: Path | None = None
    seed: int = 1
    encoder: str = "demo"
    subject: str | None = None


def run_demo(request: DemoRequest, notify: Notify, on_frame: OnFrame) -> dict[str, Any]:
    """Run the demo and return its figures, which are also in `summary.json`.

    Raises UserError.
    """
    start_s = time.time()
    require_length(request.seconds)
    # Before anything starts: the file may be no video.
    clip = read_clip(request.video) if request.video else None
    clip_name = request.video.stem if request.video else "leaves"
    mouse = read_encoder_mouse(request.encoder, request.subject)
    settings = make_settings(request.output_folder, request.encoder)
    with child_processes() as children:
        start_processes(children, settings, request.output_folder, request.headless)
        notify("Simulating the mouse and its session")
        imaged = make_imaged_mouse(mouse)
        seen = imaged.mouse.map_seen_field()
        notify(f"{describe_seen_field(seen)} ({SEEN_FIELD_FILE})")
        simulated = make_session(imaged, request.seconds, request.seed, clip, clip_name)
        lower_priority()  # a real microscope does not use the daemon's processor
        sender = SessionSender(
            settings.network.frames, None, **start_message_fields(simulated)
        )
        try:
            path = _stream(simulated, sender, children, settings, on_frame)
        finally:
            sender.close()
    notify("Computing the figures, writing the movie and the report")
    session = Session(path)
    summary = summarize_demo(session, start_s, describe_sender(sender, children))
    write_results(request.output_folder, session, summary)
    write_seen_field(request.output_folder, seen)
    return summary


def _stream(
    session: SimulatedSession,
    sender: SessionSender,
    children: ChildProcesses,
    settings: Settings,
    on_frame: OnFrame,
) -> Path:
    """Stream the session and stop the daemon; return the folder of the recording."""
    wait_for_daemon(children, sender)
    wait_for_inverter(children, settings)
    report_frame = make_frame_reporter(
        children, on_frame, len(session), every=round(RATE_HZ)
    )
    stream_session(session, sender, report_frame)
    return finish_session(children, settings)
