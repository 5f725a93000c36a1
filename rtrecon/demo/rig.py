"""The settings of the demo's daemon, and the session that its mouse experiences."""

from __future__ import annotations

import socket
from pathlib import Path

from rtrecon.config import (
    EncoderSettings,
    NetworkSettings,
    RecordingSettings,
    RegistrationSettings,
    Settings,
    SubjectSettings,
)
from rtrecon.core.types import Array
from rtrecon.encoder.card import find_checkpoint, read_card
from rtrecon.simulate.imaged_mouse import (
    ImagedMouse,
    ImagedMouseOptions,
    read_imaged_mouse,
)
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie, repeat_frames
from rtrecon.simulate.session import SimulatedSession, simulate_session

_MOVIE_SEED = 5000  # no training uses it
_TEMPLATE_FRAMES = 30  # one second: the user of a demo wants to see the movie soon


def make_settings(output_folder: Path, encoder: str) -> Settings:
    """Return settings on free ports of this computer, recording into the folder.

    encoder: path of a checkpoint, or 'demo'.
    """
    return Settings(
        network=make_network(),
        registration=RegistrationSettings(template_frames=_TEMPLATE_FRAMES),
        encoder=EncoderSettings(checkpoint=encoder),
        subject=SubjectSettings(subject_id="simulated", species="Mus musculus"),
        recording=RecordingSettings(
            folder=str(output_folder.resolve() / "session"), report=False
        ),
    )


def make_network() -> NetworkSettings:
    """Return addresses of this computer that are free."""
    frames, publish, control, results = (
        f"tcp://127.0.0.1:{port}" for port in _find_free_ports(4)
    )
    return NetworkSettings(
        frames=frames, tcp="off", publish=publish, control=control, results=results
    )


def read_encoder_mouse(encoder: str, subject: str | None) -> ImagedMouseOptions:
    """Return what the neurons are made from that an encoder was trained on.

    encoder: path of a checkpoint, or 'demo'. subject: as the user names it; None = as
    the encoder's metadata name it. Raises UserError if they were not simulated.
    """
    card = read_card(find_checkpoint(encoder))
    return read_imaged_mouse(card.metadata, card.path, subject)


def make_session(
    imaged: ImagedMouse, seconds: float, seed: int, clip: Array | None, clip_name: str
) -> SimulatedSession:
    """Simulate the session. clip: uint8 (T, 36, 64) to show; None: a natural movie."""
    n_frames = round(seconds * RATE_HZ)
    seed = _MOVIE_SEED + seed
    if clip is None:
        movie = make_natural_movie(n_frames, seed)
    else:
        movie = repeat_frames(clip, n_frames)
    return simulate_session(imaged, movie, clip_name, seed)


def _find_free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for bound in sockets:
            bound.bind(("127.0.0.1", 0))
        return [int(bound.getsockname()[1]) for bound in sockets]
    finally:
        for bound in sockets:
            bound.close()
