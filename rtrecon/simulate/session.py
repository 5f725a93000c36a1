"""A whole simulated session: mouse, microscope and stimulus, with the truth beside."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.behavior import Behavior, behave
from rtrecon.simulate.microscope import Field, Recording, make_field, record
from rtrecon.simulate.mouse import Mouse, Response, make_mouse
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.transport.sender import Sender

_CALIBRATION_FRAMES = 3000


@dataclass(frozen=True)
class World:
    """One mouse under one microscope; the same on every day."""

    mouse: Mouse
    field: Field


@dataclass(frozen=True)
class Session:
    """One day's recording. movie: uint8 (T, 36, 64), shown one frame per scan."""

    name: str
    movie: Array
    behavior: Behavior
    response: Response
    recording: Recording
    rate_hz: float = RATE_HZ

    def __len__(self) -> int:
        return len(self.movie)


def make_world(n_neurons: int, side_px: int, seed: int) -> World:
    """Grow a mouse and lay out its field; everything follows from the seed."""
    field = make_field(n_neurons, side_px, seed)  # first: it may be too small
    calibration = natural_movie(_CALIBRATION_FRAMES, seed=10_000 + seed)
    return World(make_mouse(n_neurons, seed, calibration), field)


def make_session(world: World, movie: Array, name: str, seed: int) -> Session:
    """Show `movie` to the mouse; `seed` decides behaviour, noise and motion."""
    rng = np.random.default_rng([seed, 7])
    behavior = behave(len(movie), RATE_HZ, rng)
    response = world.mouse.respond(movie, behavior, seed)
    recording = record(world.field, response.spikes, RATE_HZ, seed)
    return Session(name, movie, behavior, response, recording)


def start_fields(session: Session) -> dict[str, object]:
    """Return what the start message says of a session."""
    height, width = session.recording.field.tissue.shape
    return {
        "source": "rtrecon simulator",
        "rate_hz": session.rate_hz,
        "shape": (height, width),
        "meta": {"clip": session.name},
    }


def stream(
    session: Session, sender: Sender, on_frame: Callable[[int], None] | None = None
) -> None:
    """Send the session as the microscope would, each frame at its own time.

    A frame that the transport does not take is dropped and counted by the sender, as
    a microscope would; the next frame keeps its own deadline.
    """
    height, width = session.recording.field.tissue.shape
    pixels = np.empty((height, width), np.int16)
    session.recording.frame(0, pixels)  # what is compiled now makes no frame late
    started = time.monotonic()
    for index in range(len(session)):
        session.recording.frame(index, pixels)
        t = (index + 1) / session.rate_hz
        time.sleep(max(0.0, started + t - time.monotonic()))
        _send(session, sender, index, pixels)
        if on_frame is not None:
            on_frame(index)
    sender.end("complete")


def _send(session: Session, sender: Sender, index: int, pixels: Array) -> None:
    t = index / session.rate_hz
    behavior = session.behavior
    sender.behavior(
        t,
        pupil_dilation=float(behavior.pupil_dilation[index]),
        running_speed=float(behavior.running_speed[index]),
    )
    sender.stimulus(session.movie[index], session.name, index, t)
    sender.frame(pixels, index + 1, t)
