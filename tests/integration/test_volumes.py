"""Two planes in two channels through a daemon: each neuron is read in its plane."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings, RoiSettings, TracesSettings
from rtrecon.testing import synthetic_field
from rtrecon.testing.daemon_process import (
    N_TEMPLATE,
    REPLY_TIMEOUT_S,
    DaemonProcess,
    make_settings,
)
from rtrecon.testing.simulated_microscope import RATE_HZ, SHAPE
from rtrecon.transport.senders import SessionSender

GREEN, RED = 1, 2  # the indicator; a constant dye
N_VOLUMES = 90
FIELDS = [synthetic_field.make_field(SHAPE, seed) for seed in (0, 5)]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """(daemon, recording, shifts (n, planes, 2), truth [planes] of (n, cells))."""
    folder, rng = tmp_path_factory.mktemp("volume"), np.random.default_rng(3)
    synthetic_field.write_suite2p_masks(FIELDS, folder / "suite2p")
    settings = make_settings(
        folder,
        rois=RoiSettings(path=str(folder / "suite2p")),
        traces=TracesSettings(channel=GREEN, neuropil_coefficient=0.0),
        registration=RegistrationSettings(channel=RED, template_frames=N_TEMPLATE),
    )
    shifts = rng.normal(0, 1.5, (N_VOLUMES, 2, 2))
    truth = [2.0 * (rng.random((N_VOLUMES, f.n_cells)) < 0.1) for f in FIELDS]
    start = {
        "source": "test",
        "rate_hz": RATE_HZ,
        "shape": SHAPE,
        "channels": [GREEN, RED],
        "planes": [0.0, 40.0],
    }
    with DaemonProcess(folder, settings) as daemon:
        sender = SessionSender(settings.network.frames, **start)
        sender.queue_timeout_s = REPLY_TIMEOUT_S
        assert sender.wait_for_daemon()
        for volume in range(N_VOLUMES):
            for plane, field in enumerate(FIELDS):
                shift = shifts[volume, plane]
                stamp = volume + 1, volume / RATE_HZ
                red = field.render_frame(5.0, rng, shift)
                green = field.render_frame(5.0, rng, shift, truth[plane][volume])
                sender.send_frame(green, *stamp, plane=plane, channel=GREEN)
                sender.send_frame(red, *stamp, plane=plane, channel=RED)
            daemon.receive()
        daemon.wait_until(
            lambda: daemon.newest_health().frames_processed == 4 * N_VOLUMES
        )
        assert daemon.call("stop")["ok"]
        daemon.process.wait()
        sender.close(linger_s=0)
        (recording,) = daemon.recordings(sender.session)
        yield daemon, recording, shifts, truth


def test_all_images_are_processed_and_recorded(session):
    daemon, recording, _, _ = session
    health = daemon.newest_health()
    assert health.frames_received == health.frames_processed == 4 * N_VOLUMES
    assert not any(health.lost.values())
    assert not health.rejected_frames
    for plane in (0, 1):
        in_plane = recording.frames["plane"] == plane
        assert recording.frames["frame"][in_plane].tolist() == list(
            range(1, N_VOLUMES + 1)
        )


def test_neurons_are_recorded_with_their_plane(session):
    _, recording, _, _ = session
    planes = np.array(recording.about.roi_planes)
    assert [int((planes == k).sum()) for k in (0, 1)] == [f.n_cells for f in FIELDS]


@pytest.mark.parametrize("plane", [0, 1])
def test_motion_is_estimated_from_the_registration_channel(session, plane):
    _, recording, shifts, _ = session
    in_plane = recording.frames["plane"] == plane
    found = np.stack(
        [recording.frames[f"shift_{axis}_px"][in_plane] for axis in "yx"], 1
    )
    errors = found - shifts[:, plane]
    errors -= np.median(errors, 0)  # the position of the template is arbitrary
    assert np.median(np.hypot(*errors.T)) < 0.1


@pytest.mark.parametrize("plane", [0, 1])
def test_each_neuron_is_read_in_its_plane(session, plane):
    _, recording, _, truth = session
    in_plane = recording.frames["plane"] == plane
    dff = recording.frames.read_values()[in_plane, 2, : FIELDS[plane].n_cells]
    after_start = slice(20, None)
    r = [
        np.corrcoef(found, true)[0, 1]
        for found, true in zip(
            dff[after_start].T, truth[plane][after_start].T, strict=True
        )
        if true.any()
    ]
    assert np.median(r) > 0.8


def test_activity_joins_the_neurons_of_all_planes(session):
    daemon, recording, _, _ = session
    activity = recording.activity.read_values()
    assert (
        activity.shape[1]
        == len(recording.about.neuron_ids)
        == len(recording.about.roi_planes)
    )
    assert np.isfinite(activity[10:-10]).all()
    assert len(activity) == pytest.approx(N_VOLUMES, abs=4)
    events = json.dumps([event.message for event in daemon.events_named("session")])
    assert "2 planes" in events
