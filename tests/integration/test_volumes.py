"""Two planes in two channels over the real wire: each neuron is read in its own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rtrecon.config import RegisterSettings, RoiSettings, TracesSettings
from rtrecon.testing import small_field
from rtrecon.testing.daemon_process import (
    N_TEMPLATE,
    PROMPT_S,
    RATE_HZ,
    SHAPE,
    Daemon,
    settings_in,
)
from rtrecon.transport.sender import Sender

GREEN, RED = 1, 2  # the neurons' activity; a dye that does not change
N_VOLUMES = 90
FIELDS = [small_field.field(SHAPE, seed) for seed in (0, 5)]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """(daemon, record, shifts (n, planes, 2), truth [planes] of (n, cells))."""
    folder, rng = tmp_path_factory.mktemp("volume"), np.random.default_rng(3)
    small_field.save_as_suite2p(FIELDS, folder / "suite2p")
    settings = settings_in(
        folder,
        rois=RoiSettings(path=str(folder / "suite2p")),
        traces=TracesSettings(channel=GREEN, neuropil_coefficient=0.0),
        register_=RegisterSettings(channel=RED, template_frames=N_TEMPLATE),
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
    with Daemon(folder, settings) as daemon:
        sender = Sender(settings.wire.frames, **start)
        sender.wait_s = PROMPT_S
        assert sender.wait_for_daemon()
        for volume in range(N_VOLUMES):
            for plane, field in enumerate(FIELDS):
                shift = shifts[volume, plane]
                stamp = volume + 1, volume / RATE_HZ
                red = field.frame(5.0, rng, shift)
                green = field.frame(5.0, rng, shift, truth[plane][volume])
                sender.frame(green, *stamp, plane=plane, channel=GREEN)
                sender.frame(red, *stamp, plane=plane, channel=RED)
            daemon.listen()
        daemon.until(lambda: daemon.health().frames_processed == 4 * N_VOLUMES)
        assert daemon.ask("stop")["ok"]
        daemon.process.wait()
        sender.close(linger_s=0)
        (record,) = daemon.records(sender.session)
        yield daemon, record, shifts, truth


def test_every_image_is_accounted_for(session):
    daemon, record, _, _ = session
    health = daemon.health()
    assert health.frames_received == health.frames_processed == 4 * N_VOLUMES
    assert not any(health.lost.values())
    assert not health.untrusted
    for plane in (0, 1):
        own = record.frames["plane"] == plane
        assert record.frames["frame"][own].tolist() == list(range(1, N_VOLUMES + 1))


def test_masks_keep_their_planes(session):
    _, record, _, _ = session
    planes = np.array(record.about.roi_planes)
    assert [int((planes == k).sum()) for k in (0, 1)] == [f.n_cells for f in FIELDS]


@pytest.mark.parametrize("plane", [0, 1])
def test_motion_is_told_from_the_channel_that_does_not_change(session, plane):
    _, record, shifts, _ = session
    own = record.frames["plane"] == plane
    found = np.stack([record.frames[f"shift_{axis}_px"][own] for axis in "yx"], 1)
    errors = found - shifts[:, plane]
    errors -= np.median(errors, 0)  # where the template lies is arbitrary
    assert np.median(np.hypot(*errors.T)) < 0.1


@pytest.mark.parametrize("plane", [0, 1])
def test_each_neuron_is_read_in_its_plane(session, plane):
    _, record, _, truth = session
    own = record.frames["plane"] == plane
    dff = record.frames.values()[own, 2, : FIELDS[plane].n_cells]
    settled = slice(20, None)
    r = [
        np.corrcoef(found, true)[0, 1]
        for found, true in zip(dff[settled].T, truth[plane][settled].T, strict=True)
        if true.any()
    ]
    assert np.median(r) > 0.8


def test_activity_is_of_all_planes_at_once(session):
    daemon, record, _, _ = session
    activity = record.activity.values()
    assert (
        activity.shape[1]
        == len(record.about.neuron_ids)
        == len(record.about.roi_planes)
    )
    assert np.isfinite(activity[10:-10]).all()
    assert len(activity) == pytest.approx(N_VOLUMES, abs=4)
    events = json.dumps([event.message for event in daemon.events("session")])
    assert "2 planes" in events
