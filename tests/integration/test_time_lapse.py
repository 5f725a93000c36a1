"""A daemon in a session of one frame in 20 minutes, whose frames are sent quickly."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import numpy as np
import pytest

from rtrecon.session.resume_state import get_state_path
from rtrecon.session.session import Session
from rtrecon.testing.daemon_process import DaemonProcess
from rtrecon.testing.simulated_microscope import (
    SimulatedMicroscope,
    make_small_settings,
)

INTERVAL_S = 1200.0
N_BEFORE, N_AFTER = 12, 5
DECONVOLUTION_LAG = 2  # frames by which activity is later than its frame
PAUSE_S = 3.0  # twice the time after which a session of 30 Hz would have ended
IDLE_TIMEOUT_S, STALL_TIMEOUT_S = 1.0, 0.5


def read_newest_time(path: Path) -> float:
    """Return the time of the newest frame in a plane's saved state; -1 without one."""
    with contextlib.suppress(OSError, ValueError), np.load(path) as arrays:
        return float(arrays["times_s"][1])
    return -1.0


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """(killed daemon, next daemon, its recordings) of one session."""
    folder = tmp_path_factory.mktemp("time_lapse")
    settings = make_small_settings(folder)
    timeouts = {"idle_timeout_s": IDLE_TIMEOUT_S, "stall_timeout_s": STALL_TIMEOUT_S}
    network = settings.network.model_copy(update=timeouts)
    settings = settings.model_copy(update={"network": network})
    with (
        DaemonProcess(folder, settings) as first,
        SimulatedMicroscope(first, rate_hz=1 / INTERVAL_S) as scope,
    ):
        scope.send_frames(N_BEFORE // 2)
        scope.wait_until_processed()
        pause_until = time.monotonic() + PAUSE_S
        first.wait_until(lambda: time.monotonic() > pause_until)
        scope.send_frames(N_BEFORE - N_BEFORE // 2)
        scope.wait_until_processed()
        (record,) = first.recordings(scope.session)
        first.wait_until(lambda: len(Session(record.path).frames["frame"]) == N_BEFORE)
        n_activity = N_BEFORE - DECONVOLUTION_LAG
        first.wait_until(lambda: len(Session(record.path).activity) == n_activity)
        kept = get_state_path(record.path, 0)
        newest_s = (N_BEFORE - 1) * INTERVAL_S
        first.wait_until(lambda: read_newest_time(kept) == newest_s)
        first.kill()
        with DaemonProcess(folder, settings) as second:
            scope.daemon = second
            scope.send_frames(N_AFTER)
            second.wait_until(
                lambda: second.newest_health().frames_processed == N_AFTER
            )
            scope.sender.send_end("over")
            second.wait_until(lambda: second.newest_health().state == "idle")
            assert second.call("stop")["ok"]
            second.process.wait()
            yield first, second, second.recordings(scope.session)


def test_a_pause_between_two_frames_is_neither_a_stall_nor_the_end(parts):
    first, _, _ = parts
    assert not first.events_named("stalled")
    assert not first.events_named("silence")
    states = {h.state for h in first.messages_of(type(first.newest_health()))}
    assert states <= {"waiting", "calibrating", "running"}
    assert first.newest_health().frame_interval_s == pytest.approx(INTERVAL_S)


def test_the_user_learns_what_the_interval_changes(parts):
    first, _, _ = parts
    [session] = first.events_named("session")
    assert "128 x 128 at one frame in 20 min" in session.message
    sentences = [event.message for event in first.events_named("settings")]
    assert sentences[0].startswith("the reference is made from the first frame, not")
    assert "baseline_window_s is 10 h in this session" in sentences[1]


def test_every_frame_is_processed_and_has_one_encoder_frame(parts):
    _, _, (before, _) = parts
    assert before.frames["frame"].tolist() == list(range(1, N_BEFORE + 1))
    assert before.frames["is_accepted"].all()
    expected = list(range(N_BEFORE - DECONVOLUTION_LAG))
    assert before.activity["encoder_frame"].tolist() == expected
    assert before.about.encoder_rate_hz == pytest.approx(1 / INTERVAL_S)
    assert np.isfinite(before.frames.read_values()[:, 2]).all()


def test_health_is_recorded_when_something_changes_not_every_moment(parts):
    first, _, (before, _) = parts
    n_published = len(first.messages_of(type(first.newest_health())))
    assert len(before.health) < min(n_published, 3 * N_BEFORE)


def test_the_session_continues_after_the_daemon_was_killed(parts):
    _, second, (_, after) = parts
    sentences = [event.message for event in second.events_named("reference")]
    assert any("the session continues from" in sentence for sentence in sentences)
    numbers = list(range(N_BEFORE + 1, N_BEFORE + N_AFTER + 1))
    assert after.frames["frame"].tolist() == numbers
    assert "1 h 20 min, nothing lost" in second.output
