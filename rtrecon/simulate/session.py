"""A simulated session: neurons, microscope, stimulus, and the ground truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.behavior import BehaviorTraces, simulate_behavior
from rtrecon.simulate.imaged_mouse import ImagedMouse
from rtrecon.simulate.microscope import SimulatedRecording, image_field
from rtrecon.simulate.movie import RATE_HZ
from rtrecon.simulate.trial import NeuralResponse, simulate_trial
from rtrecon.transport.senders import SessionSender


@dataclass(frozen=True)
class SimulatedSession:
    """One recording. movie: uint8 (T, 36, 64); each scan shows one movie frame."""

    clip_name: str
    movie: Array
    behavior: BehaviorTraces
    response: NeuralResponse
    recording: SimulatedRecording
    rate_hz: float = RATE_HZ

    def __len__(self) -> int:
        return len(self.movie)


def simulate_session(
    imaged: ImagedMouse, movie: Array, name: str, seed: int
) -> SimulatedSession:
    """Show `movie` to the mouse; `seed` determines behaviour, noise and motion."""
    rng = np.random.default_rng([seed, 7])
    behavior = simulate_behavior(len(movie), RATE_HZ, rng)
    response = simulate_trial(imaged.mouse, movie, behavior, seed, imaged.noise)
    recording = image_field(imaged.field, response.spikes, RATE_HZ, seed)
    return SimulatedSession(name, movie, behavior, response, recording)


def start_message_fields(session: SimulatedSession) -> dict[str, Any]:
    """Return the fields of the session's start message."""
    height, width = session.recording.field.tissue.shape
    return {
        "source": "rtrecon simulator",
        "rate_hz": session.rate_hz,
        "shape": (height, width),
        "meta": {"clip": session.clip_name},
    }


def stream_session(
    session: SimulatedSession,
    sender: SessionSender,
    on_frame: Callable[[int], None] | None = None,
    choose_speed: Callable[[int], float] = lambda index: 1.0,
) -> None:
    """Send the session as the microscope would, each frame at its own time.

    When the transport accepts no frame, the sender drops and counts it, as a
    microscope would. The next frame keeps its own deadline. choose_speed: returns for
    the index of a frame how many times faster than in real time it is sent.
    """
    height, width = session.recording.field.tissue.shape
    pixels = np.empty((height, width), np.int16)
    session.recording.render_frame(0, pixels)  # compiles, so that no frame is late
    due_s = time.monotonic()
    for index in range(len(session)):
        session.recording.render_frame(index, pixels)
        due_s += 1 / (session.rate_hz * choose_speed(index))
        time.sleep(max(0.0, due_s - time.monotonic()))
        _send_scan(session, sender, index, pixels)
        if on_frame is not None:
            on_frame(index)
    sender.send_end("complete")


def _send_scan(
    session: SimulatedSession, sender: SessionSender, index: int, pixels: Array
) -> None:
    t = index / session.rate_hz
    behavior = session.behavior
    sender.send_behavior(
        t,
        pupil_dilation=float(behavior.pupil_dilation[index]),
        running_speed=float(behavior.running_speed[index]),
    )
    sender.send_stimulus(session.movie[index], session.clip_name, index, t)
    sender.send_frame(pixels, index + 1, t)
