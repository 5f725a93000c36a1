"""Real two-photon pixels through the whole front, as a user replays them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from rtrecon.config import RegisterSettings, RoiSettings
from rtrecon.protocol import messages
from rtrecon.rois.readers.any_file import load_rois
from rtrecon.session.session import Session as Record
from rtrecon.sources.tiff import ScanImageTiff
from rtrecon.testing.daemon_process import Daemon, Program, settings_in

FILE = "scanimage/replay_real_pixels_synthetic_SI_header.tif"
REGIONS = "twophoton/neurofinder_regions.json"
N_FRAMES, N_NEURONS, SHAPE = 100, 330, (512, 512)


def real(shared_data: Path, name: str) -> Path:
    path = shared_data / name
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    return path


def replayed(folder: Path, masks: Path, file: Path) -> tuple[Daemon, Record]:
    """Replay the file to a daemon of its own, both as a user starts them."""
    settings = settings_in(
        folder,
        rois=RoiSettings(path=str(masks)),
        register_=RegisterSettings(template_frames=20),
    )
    arguments = "replay", file, "--to", settings.wire.frames, "--speed", 0
    with Daemon(folder, settings) as daemon:
        with Program(folder / "replay.log", *arguments) as replay:
            daemon.until(lambda: replay.process.poll() is not None)
            assert replay.process.returncode == 0, replay.said
            assert f"{N_FRAMES} frames sent, 0 dropped" in replay.said
        daemon.until(lambda: daemon.health().state == "idle")
        assert daemon.ask("stop")["ok"]
        daemon.process.wait()
    (session,) = {event.session for event in daemon.events("session")}
    (record,) = daemon.records(session)
    return daemon, record


@pytest.fixture(scope="module")
def replay(tmp_path_factory, shared_data):
    folder = tmp_path_factory.mktemp("replay")
    return replayed(folder, real(shared_data, REGIONS), real(shared_data, FILE))


@pytest.fixture
def daemon(replay):
    return replay[0]


@pytest.fixture
def record(replay):
    return replay[1]


def test_every_frame_is_accounted_for(daemon, record):
    health = daemon.health()
    assert (health.frames_received, health.frames_processed) == (N_FRAMES, N_FRAMES)
    assert (health.rejected, health.gaps) == (0, messages.Gaps())
    assert not any(health.lost.values())
    assert record.frames["frame"].tolist() == list(range(1, N_FRAMES + 1))
    (end,) = daemon.events("end")
    assert (end.value, "0 dropped" in end.message) == (N_FRAMES, True)
    assert record.about.meta["source"] == f"replay of {Path(FILE).name}"


def test_as_fast_as_taken_is_faster_than_it_was_recorded(daemon, record):
    took_s = np.ptp(record.frames["t_received"])
    assert took_s < np.ptp(record.frames["t"])


def test_shifts_are_small_and_trusted(record):
    for axis in ("shift_y_px", "shift_x_px"):
        assert np.abs(record.frames[axis]).max() < 2  # of a mouse that sits still
    assert record.frames["trusted"].all()


def test_traces_are_finite_for_every_neuron(record):
    traces = record.frames.values()
    assert traces.shape == (N_FRAMES, 3, N_NEURONS)
    assert np.isfinite(traces).all()
    cell, neuropil, dff = traces.transpose(1, 0, 2)
    assert (cell.std(0) > 0).all()
    assert (neuropil.mean(0) > 0).all()
    assert -1 < dff.min() < dff.max() < 10


def test_activity_is_on_the_encoders_time_base(record):
    t_s = record.frames["t"] - record.frames["t"][0]
    # The last frames wait for those after them, which deconvolution looks at.
    newest_s = t_s[-1 - record.about.settings["traces"]["deconvolve_lag_frames"]]
    n_ticks = int(newest_s * record.about.encoder_rate_hz) + 1
    assert record.activity["index"].tolist() == list(range(n_ticks))
    activity = record.activity.values()
    assert np.isfinite(activity).all()
    assert (activity >= 0).all()


def test_the_field_that_is_shown_looks_like_the_tissue(daemon, shared_data):
    with ScanImageTiff(real(shared_data, FILE)) as recording:
        mean = np.mean([frame.pixels for frame in recording.frames()], axis=0)
    shown = [(m, image) for m, image in daemon.heard if isinstance(m, messages.Field)]
    assert shown
    for field, image in shown:
        expected = gaussian_filter(mean[:: field.step, :: field.step], 2)
        seen = gaussian_filter(image.astype(float), 2)  # photons average out
        assert np.corrcoef(seen.ravel(), expected.ravel())[0, 1] > 0.9
        assert image.std() > 30  # of 255: one can see it


def test_suite2ps_masks_give_the_same_traces(tmp_path, shared_data, record):
    masks = load_rois(real(shared_data, REGIONS), SHAPE)
    spans = zip(masks.indptr, masks.indptr[1:], strict=False)
    stat = [
        {"ypix": masks.rows[a:b], "xpix": masks.cols[a:b], "lam": np.ones(b - a, "f4")}
        for a, b in spans
    ]
    np.save(tmp_path / "stat.npy", np.array(stat, object), allow_pickle=True)
    file = real(shared_data, FILE)
    _, again = replayed(tmp_path, tmp_path / "stat.npy", file)
    np.testing.assert_allclose(again.frames.values(), record.frames.values(), rtol=1e-5)
