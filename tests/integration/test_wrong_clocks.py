"""Stimulus computers whose clocks are wrong: daemon and senders in real time.

Each program states when it showed an image, by its own clock, and shows image k when
the microscope takes frame k. So no result depends on when this busy computer sends it.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from rtrecon.protocol import messages
from rtrecon.testing.daemon_process import DaemonProcess
from rtrecon.testing.simulated_microscope import (
    RATE_HZ,
    SimulatedMicroscope,
    make_small_settings,
)
from rtrecon.transport.senders import AuxiliarySender

SECONDS = 4.0
ERRORS_S = {"ahead": 3600.0, "behind": -7.0, "right": 0.0}
MAX_ERROR_FRAMES = 3  # the least delays of arrivals may differ by 0.1 s


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A stimulus computer and a camera for each clock; all show frame k at frame k."""
    folder = tmp_path_factory.mktemp("wrong clocks")
    settings = make_small_settings(folder)
    with (
        DaemonProcess(folder, settings) as daemon,
        SimulatedMicroscope(daemon) as scope,
        AuxiliarySender(settings.network.frames) as ahead,
        AuxiliarySender(settings.network.frames) as behind,
        AuxiliarySender(settings.network.frames) as right,
    ):
        programs = {"ahead": ahead, "behind": behind, "right": right}
        began_s = time.time()

        def is_done() -> bool:
            shown_s = began_s + scope.n_sent / RATE_HZ
            for name, program in programs.items():
                send_stimulus(program, name, scope.n_sent, shown_s + ERRORS_S[name])
            return scope.n_sent > SECONDS * RATE_HZ

        scope.send_frames_until(is_done, 3 * SECONDS)
        scope.wait_until_processed()
        daemon.wait_until(lambda: len(daemon.events_named("clock")) >= 2)
        assert daemon.call("stop")["ok"]
        daemon.process.wait()
        daemon.receive()
    return daemon


def send_stimulus(
    program: AuxiliarySender, name: str, index: int, t_send_s: float
) -> None:
    image = np.full((36, 64), index % 256, np.uint8)
    program.send(
        messages.StimulusFrame,
        image,
        clip=name,
        index=index,
        shape=image.shape,
        t_send=t_send_s,
    )


def placed(daemon: DaemonProcess, name: str) -> np.ndarray:
    """Return (index of the image shown, encoder frame at which it was placed)."""
    return np.array(
        [
            (image[0, 0], message.encoder_frame)
            for message, image in daemon.received
            if isinstance(message, messages.AlignedStimulus) and message.clip == name
        ]
    )


@pytest.mark.parametrize("name", ERRORS_S)
def test_every_stimulus_is_placed_at_its_frame(session, name):
    shown, index = placed(session, name).T
    assert len(shown) >= 0.8 * SECONDS * RATE_HZ
    difference = index - shown
    assert np.median(np.abs(difference)) <= 1
    assert np.percentile(np.abs(difference), 95) <= MAX_ERROR_FRAMES


def test_wrong_clocks_are_reported_and_right_ones_are_not(session):
    sentences = sorted(event.message for event in session.events_named("clock"))
    assert [sentence.partition(" the microscope's")[0] for sentence in sentences] == [
        "the clock of the stimulus computer is 3600.0 s ahead of",
        "the clock of the stimulus computer is 7.0 s behind",
    ]
