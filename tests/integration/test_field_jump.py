"""The stage moves during a session: frames are rejected for a reason, nothing ends."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings
from rtrecon.session.frame_balance import balance_frames
from rtrecon.testing.daemon_process import N_TEMPLATE, DaemonProcess
from rtrecon.testing.simulated_microscope import (
    SimulatedMicroscope,
    make_small_frames,
    make_small_settings,
)

N_BEFORE, N_JUMPED, N_BACK = 40, 90, 60


@pytest.mark.parametrize("nonrigid", [False, True])
def test_a_jump_of_the_stage_rejects_frames_and_ends_nothing(tmp_path, nonrigid):
    registration = RegistrationSettings(template_frames=N_TEMPLATE, nonrigid=nonrigid)
    settings = make_small_settings(tmp_path, registration=registration)
    with (
        DaemonProcess(tmp_path, settings) as daemon,
        SimulatedMicroscope(daemon) as microscope,
    ):
        at_rest, jumped = microscope.frames, make_small_frames((70, 15))
        microscope.send_frames(N_BEFORE)
        microscope.wait_until_processed()
        microscope.frames = jumped
        microscope.send_frames(N_JUMPED)
        microscope.wait_until_processed()
        microscope.frames = at_rest
        microscope.send_frames(N_BACK)
        health = microscope.wait_until_processed()
        microscope.sender.send_end("over")
        daemon.wait_until(lambda: daemon.newest_health().state == "idle")
    balance = balance_frames(health)
    assert (balance.n_lost, balance.n_unexplained) == (0, 0)
    assert sum(health.rejected_frames.values()) == N_JUMPED
    assert health.lost["failed"] == 0
    [recording] = daemon.recordings(microscope.session)
    is_accepted = recording.frames["is_accepted"].astype(bool)
    assert is_accepted[:N_BEFORE].all()
    assert not is_accepted[N_BEFORE : N_BEFORE + N_JUMPED].any()
    assert is_accepted[N_BEFORE + N_JUMPED :].all()
    # A rejected frame repeats the shift of the last accepted one.
    shifts = np.stack(
        [recording.frames["shift_y_px"], recording.frames["shift_x_px"]], 1
    )
    assert (shifts[N_BEFORE : N_BEFORE + N_JUMPED] == shifts[N_BEFORE - 1]).all()
    sentences = [event.message for event in daemon.events_named("field")]
    assert any("is this the field of the reference image?" in s for s in sentences)
    assert any(s.startswith("frames match again") for s in sentences)
    assert "Traceback" not in daemon.output
