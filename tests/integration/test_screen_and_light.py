"""Digital lines through the daemon: a photodiode, and a stimulation laser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from rtrecon.config import LightSettings, ScreenSettings
from rtrecon.protocol import messages
from rtrecon.session.session import Session
from rtrecon.session.summary import summarize_session
from rtrecon.testing.daemon_process import DaemonProcess
from rtrecon.testing.simulated_microscope import (
    RATE_HZ,
    SimulatedMicroscope,
    make_small_settings,
)

PHOTODIODE, LASER = 3, 4
LAG_S = 0.05  # of the screen
N_FRAMES, LIT, LOST = 120, range(80, 85), (60, 61)


@dataclass
class Recorded:
    """What the daemon reported and recorded of one session."""

    session: Session
    health: messages.Health
    events: list[messages.Event]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Iterator[Recorded]:
    folder = tmp_path_factory.mktemp("lines")
    settings = make_small_settings(
        folder,
        screen=ScreenSettings(photodiode_line=PHOTODIODE, refresh_hz=60.0),
        light=LightSettings(stimulation_line=LASER),
    )
    with (
        DaemonProcess(folder, settings) as daemon,
        SimulatedMicroscope(daemon) as scope,
    ):
        for k in range(N_FRAMES):
            send_frame(scope, k)
        scope.wait_until_processed()
        daemon.wait_until(lambda: daemon.newest_health().pictures.get("judged", 0) > 60)
        assert daemon.call("stop")["ok"]
        daemon.process.wait()
        (record,) = daemon.recordings(scope.session)
        yield Recorded(
            record, daemon.newest_health(), daemon.messages_of(messages.Event)
        )


def send_frame(scope: SimulatedMicroscope, k: int) -> None:
    """Send the edges before a frame, a picture of the stimulus, and the frame."""
    t = scope.n_sent / RATE_HZ
    if k in (LIT.start, LIT.stop):
        scope.sender.send_sync_edge(t, line=LASER, value=int(k == LIT.start))
    shown_s = t - 1 / RATE_HZ + LAG_S  # of the picture before
    if k > 0 and k - 1 not in LOST:
        scope.sender.send_sync_edge(shown_s, line=PHOTODIODE, value=k % 2)
    scope.sender.send_stimulus(np.full((36, 64), k, np.uint8), "clip", k, t)
    scope.send_frames(1)


def test_the_onset_of_every_picture_is_recorded(recorded):
    onsets = recorded.session.onsets
    lag_s = onsets["t_onset_s"] - onsets["t_sent_s"]
    is_lost = ~np.isfinite(lag_s)
    assert np.flatnonzero(is_lost).size == len(LOST)
    np.testing.assert_allclose(lag_s[~is_lost], LAG_S, atol=1e-6)


def test_the_delay_of_the_screen_is_reported(recorded):
    notices = [event.message for event in recorded.events if event.name == "screen"]
    assert notices == [
        "the screen shows a picture 50 ms after its sender's time (photodiode, line "
        f"{PHOTODIODE}); times of the stimulus are corrected by that"
    ]
    assert recorded.health.latency_ms["monitor_lag"].p50 == pytest.approx(50, rel=0.02)
    summary = summarize_session(recorded.session)
    assert summary["monitor_lag_ms"]["p50"] == pytest.approx(50, rel=0.02)
    assert summary["pictures"]["without edge"] == len(LOST)


def test_the_stimulus_lies_where_it_was_seen(recorded):
    stimulus = recorded.session.stimulus
    index, images = stimulus["encoder_frame"], stimulus.read_values()
    delay = index[-20:] / 30 - images[-20:, 0, 0] / RATE_HZ
    np.testing.assert_allclose(delay, LAG_S, atol=0.5 / 30 + 1e-6)


def test_frames_in_the_light_of_the_laser_have_no_activity(recorded):
    session = recorded.session
    reasons = np.array(session.about.rejection_reasons)
    found = reasons[session.frames["rejection_reason"].astype(int)]
    assert np.flatnonzero(found == "stimulation light").tolist() == list(LIT)
    dff = session.frames.read_values()[:, 2]
    assert np.isnan(dff[LIT.start : LIT.stop]).all()
    assert recorded.health.rejected_frames["stimulation light"] == len(LIT)
