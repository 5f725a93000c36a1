"""Frames of a 2048 x 2048 camera: fewer than the reference wants fit into memory."""

from __future__ import annotations

import json

import numpy as np

from rtrecon.config import RegistrationSettings, RoiSettings
from rtrecon.testing.daemon_process import DaemonProcess, make_settings
from rtrecon.transport.senders import SessionSender

SIDE_PX, RATE_HZ, N_FRAMES = 2048, 4.0, 30
QUEUE_TIMEOUT_S = 30.0


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
    with DaemonProcess(tmp_path, settings) as daemon:
        sender = SessionSender(settings.network.frames, **start)
        sender.queue_timeout_s = QUEUE_TIMEOUT_S
        assert sender.wait_for_daemon(QUEUE_TIMEOUT_S)
        for number, frame in enumerate(make_movie(N_FRAMES)):
            sender.send_frame(frame, number + 1, number / RATE_HZ)
            daemon.receive()
        daemon.wait_until(
            lambda: daemon.newest_health().frames_processed >= N_FRAMES, 60.0
        )
        sender.close()
        health = daemon.newest_health()
        sentences = [event.message for event in daemon.events_named("reference")]
    assert health.lost["reference"] == 0
    assert not health.rejected_frames
    assert any("from 24 frames, not from 100" in sentence for sentence in sentences)
