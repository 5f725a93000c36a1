"""Frames of a 2048 x 2048 camera: fewer than the reference wants fit into memory."""

from __future__ import annotations

import json

import numpy as np

from rtrecon.config import RegistrationSettings, RoiSettings
from rtrecon.testing.daemon_process import START_TIMEOUT_S, make_settings
from rtrecon.transport.senders import SessionSender
from tests.support.changed_constants import ChangedDaemon

SIDE_PX, RATE_HZ, N_FRAMES = 2048, 4.0, 8
FRAME_BYTES = 2 * SIDE_PX**2
# As many as are sent, instead of 32: their number makes the reference slow.
LESS_MEMORY = {"rtrecon.daemon.queue_limits.MAX_PLANE_BYTES": N_FRAMES * FRAME_BYTES}
N_REFERENCE = 6  # the rest of the memory is for frames that arrive meanwhile


def make_movie(n_frames: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    coarse = rng.normal(300, 100, (SIDE_PX // 8, SIDE_PX // 8))
    field = np.kron(coarse, np.ones((8, 8))).astype(np.int16)
    noise = rng.integers(-20, 20, SIDE_PX, np.int16)
    return [field + np.roll(noise, k)[:, None] for k in range(n_frames)]


def test_a_camera_of_2048_pixels_is_registered_and_the_smaller_reference_is_said(
    tmp_path,
):
    region = [[y, x] for y in range(100, 108) for x in range(100, 108)]
    rois = tmp_path / "rois.json"
    rois.write_text(json.dumps([{"coordinates": region}]))
    settings = make_settings(
        tmp_path,
        rois=RoiSettings(path=rois),
        registration=RegistrationSettings(template_frames=100),
    )
    start = {"source": "camera", "rate_hz": RATE_HZ, "shape": (SIDE_PX, SIDE_PX)}
    with ChangedDaemon(tmp_path, settings, LESS_MEMORY) as daemon:
        sender = SessionSender(settings.network.frames, **start)
        sender.queue_timeout_s = START_TIMEOUT_S
        assert sender.wait_for_daemon(START_TIMEOUT_S)
        for number, frame in enumerate(make_movie(N_FRAMES)):
            sender.send_frame(frame, number + 1, number / RATE_HZ)
            daemon.receive()
        daemon.wait_until(
            lambda: daemon.newest_health().frames_processed >= N_FRAMES,
            2 * START_TIMEOUT_S,
        )
        sender.close()
        health = daemon.newest_health()
        sentences = [event.message for event in daemon.events_named("reference")]
    assert health.lost["reference"] == 0
    assert not health.rejected_frames
    shortage = f"from {N_REFERENCE} frames, not from 100"
    assert any(shortage in sentence for sentence in sentences)
