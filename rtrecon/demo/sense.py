"""The demo of another sense: spikes of simulated neurons, inverted live."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.config import InversionSettings, Settings, TimingSettings
from rtrecon.core.errors import UserError
from rtrecon.core.process import lower_priority
from rtrecon.core.types import Array
from rtrecon.demo.child_processes import ChildProcesses, child_processes
from rtrecon.demo.processes import (
    start_processes,
    wait_for_daemon,
    wait_for_inverter,
)
from rtrecon.demo.results import summarize_demo
from rtrecon.demo.rig import make_settings
from rtrecon.demo.sense_results import write_sense_results
from rtrecon.demo.streaming import (
    Notify,
    OnFrame,
    describe_sender,
    finish_session,
    make_frame_reporter,
    require_length,
)
from rtrecon.encoder.card import Card, find_checkpoint, read_card
from rtrecon.session.session import Session
from rtrecon.simulate.movie import repeat_frames
from rtrecon.simulate.sensory_session import (
    SensorySession,
    read_sensory_options,
    simulate_sensory_session,
)
from rtrecon.transport.senders import SessionSender

_SEED = 5000  # of stimuli that no training uses
_REPORT_EVERY_S = 1.0


@dataclass(frozen=True)
class SenseDemoRequest:
    """What to present to which neurons, and the folder for the results.

    sense: name of the stimulus space. encoder: path of a checkpoint, or 'demo' for the
    one of this sense that comes with rtrecon. file: of the sense, such as a WAV file;
    None = generated.
    """

    sense: str
    seconds: float
    headless: bool
    output_folder: Path
    file: Path | None = None
    seed: int = 1
    encoder: str = "demo"


def run_sense_demo(
    request: SenseDemoRequest, notify: Notify, on_frame: OnFrame
) -> dict[str, Any]:
    """Run the demo and return its figures, which are also in `summary.json`.

    Raises UserError.
    """
    start_s = time.time()
    require_length(request.seconds)
    card = _read_card(request)
    clip_name, levels = _make_stimulus(request, card, notify)
    settings = _make_settings(request.output_folder, card)
    with child_processes() as children:
        start_processes(children, settings, request.output_folder, request.headless)
        notify(f"Simulating neurons that respond to {card.space.name}")
        subject = read_sensory_options(card.metadata, card.path).make_subject()
        session = simulate_sensory_session(subject, levels, _SEED + request.seed)
        lower_priority()  # a real rig does not use the daemon's processor
        sender = SessionSender(
            settings.network.frames,
            None,
            card.rois.ids.tolist(),
            source="rtrecon simulator",
            rate_hz=card.space.rate_hz,
            meta={"clip": clip_name},
        )
        try:
            wait_for_daemon(children, sender)
            wait_for_inverter(children, settings)
            _stream(session, sender, children, (card, clip_name), on_frame)
            path = finish_session(children, settings)
        finally:
            sender.close()
    notify("Computing the figures, writing the reconstruction and the report")
    recorded = Session(path)
    summary = summarize_demo(recorded, start_s, describe_sender(sender, children))
    return write_sense_results(request.output_folder, recorded, card, summary)


def _read_card(request: SenseDemoRequest) -> Card:
    is_shipped = request.encoder == "demo"
    name = f"demo-{request.sense}" if is_shipped else request.encoder
    card = read_card(find_checkpoint(name))
    if card.space.name != request.sense:
        raise UserError(
            f"checkpoint {card.path} was trained on {card.space.describe()}; give one "
            f"of {request.sense}, or leave out --encoder"
        )
    read_sensory_options(card.metadata, card.path)  # only simulated neurons have a demo
    return card


def _make_stimulus(
    request: SenseDemoRequest, card: Card, notify: Notify
) -> tuple[str, Array]:
    """Return the stimulus's name and its frames, uint8 (T, *shape)."""
    sense = read_sensory_options(card.metadata, card.path).find_sense()
    n_frames = round(request.seconds * card.space.rate_hz)
    if request.file is None:
        return "generated", sense.make_stimulus(n_frames, _SEED + request.seed)
    stimulus = sense.read_stimulus(request.file)
    for notice in stimulus.notices:
        notify(notice)
    return request.file.stem, repeat_frames(stimulus.levels, n_frames)


def _make_settings(output_folder: Path, card: Card) -> Settings:
    """Return settings on free ports of this computer, recording into the folder."""
    space = card.space
    inversion = InversionSettings(
        window_frames=space.window_frames, hop_frames=space.hop_frames
    )
    timing = TimingSettings(encoder_rate_hz=space.rate_hz)
    settings = make_settings(output_folder, str(card.path.resolve()))
    return settings.model_copy(update={"timing": timing, "inversion": inversion})


def _stream(
    session: SensorySession,
    sender: SessionSender,
    children: ChildProcesses,
    stimulus: tuple[Card, str],
    on_frame: OnFrame,
) -> None:
    """Send each bin of spikes, and its frame of the stimulus, at its own time."""
    card, clip_name = stimulus
    rate_hz, n_frames = card.space.rate_hz, len(session.levels)
    report_frame = make_frame_reporter(children, on_frame, n_frames)
    every = round(_REPORT_EVERY_S * rate_hz)
    started = time.monotonic()
    for index in range(n_frames):
        time.sleep(max(0.0, started + (index + 1) / rate_hz - time.monotonic()))
        t = index / rate_hz
        levels = session.levels[index]
        sender.send_stimulus(levels, clip_name, index, t, card.space.name)
        counts = np.ascontiguousarray(session.counts[index : index + 1], np.float32)
        sender.send_frame(counts, index + 1, t)
        if index % every == 0 or index == n_frames - 1:
            report_frame(index)
    sender.send_end("complete")
