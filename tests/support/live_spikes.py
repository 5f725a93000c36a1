"""Sends spikes and stimuli of a sense to a real daemon with an encoder, and waits.

Nothing is sent in real time: the inversion does all its steps, however busy the machine
is, and the daemon waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from rtrecon.config import EncoderSettings, InversionSettings, TimingSettings
from rtrecon.encoder.card import read_card
from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import START_TIMEOUT_S, DaemonProcess, make_settings
from rtrecon.transport.senders import SessionSender


@contextmanager
def start_daemon(folder: Path, checkpoint: Path) -> Iterator[DaemonProcess]:
    """Run a daemon with an encoder, at the rate, window and hop of its space."""
    space = read_card(checkpoint).space
    inversion = InversionSettings(
        window_frames=space.window_frames,
        hop_frames=space.hop_frames,
        max_steps=2,
        spread_steps=0,
        deterministic=True,
    )
    settings = make_settings(
        folder,
        encoder=EncoderSettings(checkpoint=str(checkpoint)),
        timing=TimingSettings(encoder_rate_hz=space.rate_hz),
        inversion=inversion,
    )
    with DaemonProcess(folder, settings) as daemon:
        yield daemon


@contextmanager
def open_sender(daemon: DaemonProcess, checkpoint: Path) -> Iterator[SessionSender]:
    """Open a sender of the spikes of an encoder's neurons."""
    card = read_card(checkpoint)
    sender = SessionSender(
        daemon.settings.network.frames,
        None,
        card.rois.ids.tolist(),
        source="test",
        rate_hz=card.space.rate_hz,
    )
    sender.queue_timeout_s = START_TIMEOUT_S
    with closing(sender):
        assert sender.wait_for_daemon()
        yield sender


def stream(
    daemon: DaemonProcess,
    sender: SessionSender,
    frames: tuple[np.ndarray, np.ndarray],
    space_name: str,
) -> None:
    """Send frames (levels, counts), and wait for the movie of the last whole hop."""
    levels, counts = frames
    rate_hz = daemon.settings.timing.encoder_rate_hz
    for index, (frame, spikes) in enumerate(zip(levels, counts, strict=True)):
        t = index / rate_hz
        sender.send_stimulus(frame, "clip", index, t, space_name)
        sender.send_frame(spikes[None].astype(np.float32), index + 1, t)
        daemon.receive()
    last = len(levels) - daemon.settings.inversion.hop_frames - 1

    def is_inverted() -> bool:
        movies = daemon.messages_of(messages.Movie)
        return bool(movies) and movies[-1].encoder_frame >= last

    daemon.wait_until(is_inverted, START_TIMEOUT_S)
