"""A replayed recording of real two-photon pixels, through the whole daemon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from rtrecon.config import RegistrationSettings, RoiSettings
from rtrecon.protocol import messages
from rtrecon.rois.readers.registry import load_rois
from rtrecon.session.session import Session as Record
from rtrecon.sources.scanimage_tiff import ScanImageTiff
from rtrecon.testing.daemon_process import (
    BackgroundProcess,
    DaemonProcess,
    make_settings,
)

FILE = "scanimage/replay_real_pixels_synthetic_SI_header.tif"
REGIONS = "twophoton/neurofinder_regions.json"
N_FRAMES, N_NEURONS, SHAPE = 100, 330, (512, 512)


def find_recording(shared_data: Path, name: str) -> Path:
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"{path.name} is not available")
    return path


def replay_file(folder: Path, masks: Path, file: Path) -> tuple[DaemonProcess, Record]:
    """Replay the file to a daemon of its own, both started as a user starts them."""
    settings = make_settings(
        folder,
        rois=RoiSettings(path=str(masks)),
        registration=RegistrationSettings(template_frames=20),
    )
    arguments = "replay", file, "--to", settings.network.frames, "--speed", 0
    with DaemonProcess(folder, settings) as daemon:
        with BackgroundProcess(folder / "replay.log", *arguments) as replay:
            daemon.wait_until(lambda: replay.process.poll() is not None)
            assert replay.process.returncode == 0, replay.output
            assert f"{N_FRAMES} frames sent, 0 dropped" in replay.output
        daemon.wait_until(lambda: daemon.newest_health().state == "idle")
        assert daemon.call("stop")["ok"]
        daemon.process.wait()
    (session,) = {event.session for event in daemon.events_named("session")}
    (record,) = daemon.recordings(session)
    return daemon, record


@pytest.fixture(scope="module")
def replay(tmp_path_factory, shared_data):
    folder = tmp_path_factory.mktemp("replay")
    masks, file = (find_recording(shared_data, name) for name in (REGIONS, FILE))
    return replay_file(folder, masks, file)


@pytest.fixture
def daemon(replay):
    return replay[0]


@pytest.fixture
def record(replay):
    return replay[1]


def test_every_frame_is_received_processed_and_recorded(daemon, record):
    health = daemon.newest_health()
    assert (health.frames_received, health.frames_processed) == (N_FRAMES, N_FRAMES)
    assert (health.rejected_messages, health.gaps) == (0, messages.GapCounts())
    assert not any(health.lost.values())
    assert record.frames["frame"].tolist() == list(range(1, N_FRAMES + 1))
    (end,) = daemon.events_named("end")
    assert (end.value, "0 dropped" in end.message) == (N_FRAMES, True)
    assert record.about.meta["source"] == f"replay of {Path(FILE).name}"


def test_shifts_are_small_and_accepted(record):
    for axis in ("shift_y_px", "shift_x_px"):
        assert np.abs(record.frames[axis]).max() < 2  # the mouse sits still
    assert record.frames["is_accepted"].all()


def test_traces_are_finite_for_every_neuron(record):
    traces = record.frames.read_values()
    assert traces.shape == (N_FRAMES, 3, N_NEURONS)
    assert np.isfinite(traces).all()
    cell, neuropil, dff = traces.transpose(1, 0, 2)
    assert (cell.std(0) > 0).all()
    assert (neuropil.mean(0) > 0).all()
    assert -1 < dff.min() < dff.max() < 10


def test_activity_has_the_encoders_time_base(record):
    t_s = record.frames["t_microscope_s"] - record.frames["t_microscope_s"][0]
    # Deconvolution looks ahead, so the last frames have no activity yet.
    newest_s = t_s[-1 - record.about.settings["traces"]["deconvolution_lag_frames"]]
    n_encoder_frames = int(newest_s * record.about.encoder_rate_hz) + 1
    assert record.activity["encoder_frame"].tolist() == list(range(n_encoder_frames))
    activity = record.activity.read_values()
    assert np.isfinite(activity).all()
    assert (activity >= 0).all()


def test_the_published_field_image_resembles_the_recording(daemon, shared_data):
    with ScanImageTiff(find_recording(shared_data, FILE)) as recording:
        mean = np.mean([frame.pixels for frame in recording.frames()], axis=0)
    published = [
        (m, image) for m, image in daemon.received if isinstance(m, messages.FieldImage)
    ]
    assert published
    for field, image in published:
        expected = gaussian_filter(
            mean[:: field.downsampling, :: field.downsampling], 2
        )
        seen = gaussian_filter(image.astype(float), 2)  # photons average out
        assert np.corrcoef(seen.ravel(), expected.ravel())[0, 1] > 0.9
        assert image.std() > 30  # of 255: the image has contrast


def test_suite2p_masks_are_read_as_the_same_rois(tmp_path, shared_data):
    """The same masks give the same traces, whatever file they come from."""
    rois = load_rois(find_recording(shared_data, REGIONS), SHAPE)
    stat = [
        {"ypix": rows, "xpix": cols, "lam": np.ones(len(rows), "f4")}
        for rows, cols, _ in rois.list_pixels()
    ]
    np.save(tmp_path / "stat.npy", np.array(stat, object), allow_pickle=True)
    same_rois = load_rois(tmp_path / "stat.npy", SHAPE)
    pairs = zip(rois.list_pixels(), same_rois.list_pixels(), strict=True)
    for (rows, cols, weights), (same_rows, same_cols, same_weights) in pairs:
        assert np.array_equal(rows, same_rows)
        assert np.array_equal(cols, same_cols)
        # float32 weights: both readers divide by their sum.
        np.testing.assert_allclose(same_weights, weights, rtol=1e-6)
