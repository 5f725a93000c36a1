"""Training on recorded sessions uses frames with known stimulus and activity."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from rtrecon import config
from rtrecon.config import EncoderSettings, Settings
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ignore_progress
from rtrecon.daemon.field_neurons import read_neuron_source
from rtrecon.encoder.card import RATE_UNITS
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.imaging.reference import PlaneReference, StoredField
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.protocol import messages
from rtrecon.rois import roi_set
from rtrecon.session.recorder import Recorder
from rtrecon.session.resume_state import get_reference_path, save_reference
from rtrecon.session.tables import ActivityRow
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from rtrecon.training import train_on_session
from rtrecon.training.compact.fit import TrainingRecipe
from rtrecon.training.recorded import read_training_data
from rtrecon.training.training_data import SETTLE_FRAMES
from tests.support.quick_calibration import calibrate_quickly
from tests.support.rounding import float32_tolerance
from tests.support.session_tables import make_about

IDS = [7, 3, 12]
N_FRAMES = 1000
FIELD = (40, 50)
UNKNOWN = range(600, 640)  # frames whose stimulus did not arrive
LOST = range(400, 420)  # frames without activity
BLINK = slice(500, 518)  # frames at which the pupil was not seen
SETTINGS = Settings()


def make_movie(n_frames):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (n_frames // 5 + 1, 9, 16)).repeat(5, 0)[:n_frames]
    return coarse.repeat(4, 1).repeat(4, 2).astype(np.uint8)


def make_activity(n_frames):
    rng = np.random.default_rng(1)
    activity = rng.gamma(0.5, 2, (n_frames, len(IDS))).astype(np.float32)
    activity[[t for t in LOST if t < n_frames]] = np.nan
    return activity


def make_behavior(n_frames):
    """Return behavior (n, 4); running was not measured, and the pupil blinks once."""
    t = np.arange(n_frames)
    running = np.full(n_frames, np.nan)
    measured = np.stack([40 + t % 9, running, 150 + t % 7, 90 - t % 5], 1)
    measured[BLINK, [0, 2, 3]] = np.nan
    return measured


def list_pixels(index):
    rows, cols = np.mgrid[5:9, 10 * index + 2 : 10 * index + 6].reshape(2, -1)
    return rows, cols, np.ones(len(rows))


def make_masks():
    return roi_set.build_roi_set(
        np.array(IDS), FIELD, [list_pixels(i) for i in range(3)]
    )


def record_session(folder, n_frames=N_FRAMES, with_stimulus=True, twice=(), **changes):
    """Record a session as the daemon does; returns its folder.

    twice: frames for which another program sent a blank picture before.
    """
    about = {"settings": json.loads(config.dump(SETTINGS)), "neuron_ids": IDS}
    about |= {"roi_ids": IDS, **changes}
    recorder = Recorder(folder, make_about(**about))
    images, activity = make_movie(n_frames), make_activity(n_frames)
    behavior = make_behavior(n_frames)
    for t in range(n_frames):
        recorder.add_activity(ActivityRow(t, t, *behavior[t].tolist()), activity[t])
        if with_stimulus and t not in UNKNOWN:
            if t in twice:
                recorder.add_stimulus(t, np.zeros_like(images[t]))
            recorder.add_stimulus(t, images[t])
    recorder.close()
    assert recorder.failure is None
    assert not recorder.n_lost
    template = np.random.default_rng(2).random(FIELD).astype(np.float32)
    reference = PlaneReference(
        template, make_cell_masks(make_masks(), SETTINGS.traces), template
    )
    save_reference(
        get_reference_path(recorder.path, 0), reference, StoredField(make_masks(), None)
    )
    return recorder.path


@pytest.fixture(scope="module", autouse=True)
def _calibrate_quickly():
    """No test here checks the result of the calibration."""
    with calibrate_quickly():
        yield


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return record_session(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def data(session):
    return read_training_data(session)


def list_usable_frames():
    settled = range(SETTLE_FRAMES, N_FRAMES)
    return np.array([t for t in settled if t not in UNKNOWN])


def test_frames_with_a_known_stimulus_are_used(data):
    frames = list_usable_frames()
    coef = torch.cat([data.training.coef, data.validation.coef])
    shown = make_dct_basis().from_pixels(make_movie(N_FRAMES)[frames])
    # Sums over the pixels; the product sums them for fewer frames at a time.
    tolerance = float32_tolerance(math.prod(IMAGE_SHAPE), float(shown.abs().max()))
    torch.testing.assert_close(coef, shown, rtol=0, atol=tolerance)
    assert len(data.validation) == 300


def test_a_frame_of_two_stimulus_programs_counts_once(data, tmp_path):
    """Otherwise all later pictures would be paired with activity of other frames."""
    twice = read_training_data(record_session(tmp_path, twice=range(200, 260)))
    assert torch.equal(twice.training.coef, data.training.coef)
    assert torch.equal(twice.validation.coef, data.validation.coef)


def test_lost_activity_and_frames_without_a_past_are_left_out(data):
    frames = list_usable_frames()
    n_training = len(data.training)
    for part, part_frames in (
        (data.training, frames[:n_training]),
        (data.validation, frames[n_training:]),
    ):
        remembered = part_frames[:, None] - np.arange(MEMORY_FRAMES)
        expected = make_activity(N_FRAMES)[part_frames]
        expected[~np.isin(remembered, part_frames).all(1)] = np.nan
        np.testing.assert_array_equal(part.activity, expected)


def test_behavior_is_standardized_and_missing_values_are_its_mean(data):
    behavior = make_behavior(N_FRAMES)[list_usable_frames()]
    behavior[:, 1] = 0
    training = behavior[: len(data.training)]
    mean, sd = np.nanmean(training, 0), np.nanstd(training, 0)
    sd[1] = 1
    np.testing.assert_allclose(data.behavior_mean, mean, rtol=1e-4)
    np.testing.assert_allclose(data.behavior_sd, sd, rtol=1e-3)
    standardized = torch.cat([data.training.behavior, data.validation.behavior])
    expected = np.nan_to_num((behavior - mean) / sd)
    np.testing.assert_allclose(standardized, expected, atol=2e-3)
    assert data.is_measured.tolist() == [True, False, True, True]


def test_missing_behavior_is_reported(data):
    blinks = (
        "was not measured in 5.0% of the training frames; it is replaced by its mean"
    )
    expected = [
        f"pupil dilation {blinks}",
        "running speed was not measured; the encoder does not depend on it",
        f"pupil x {blinks}",
        f"pupil y {blinks}",
    ]
    for notice, words in zip(data.notices, expected, strict=True):
        assert notice.startswith(words)


def test_neurons_have_the_order_of_the_sessions_activity(data):
    rois = data.neurons.rois
    assert rois.ids.tolist() == IDS
    np.testing.assert_allclose(rois.compute_centers(), make_masks().compute_centers())
    template = np.random.default_rng(2).random(FIELD).astype(np.float32)
    np.testing.assert_array_equal(data.neurons.mean_image, template[None])


def test_training_writes_a_checkpoint(session, tmp_path):
    torch.set_num_threads(1)
    out, details = tmp_path / "mine.safetensors", []
    train_on_session(
        session,
        TrainingRecipe(1, 300),
        out,
        lambda *progress: details.append(progress[2]),
    )
    checkpoint = load_checkpoint(out)
    metadata = checkpoint.card.metadata
    assert metadata["session"] == session.name
    assert metadata["traces"] == SETTINGS.traces.model_dump(mode="json")
    assert any("running speed was not measured" in text for text in details)
    assert "running speed was not measured" in metadata["notices"][1]
    assert checkpoint.encoder.behavior_gain.any(1).tolist() == [True, False, True, True]


@pytest.mark.parametrize("rate_unit", [RATE_UNITS, "photons per bin"])
def test_a_session_of_spike_counts_needs_no_masks(tmp_path, rate_unit):
    session = record_session(tmp_path, rate_unit=rate_unit)
    out = tmp_path / "e.safetensors"
    get_reference_path(session, 0).unlink()
    train_on_session(session, TrainingRecipe(1, 300), out, ignore_progress)
    card = load_checkpoint(out).card
    assert card.units == rate_unit
    assert card.rois.ids.tolist() == IDS
    settings = Settings(encoder=EncoderSettings(checkpoint=str(out)))
    start = messages.SessionStart(
        session="s",
        seq=0,
        source="rates",
        rate_hz=30.0,
        shape=(1, 3),
        dtype="float32",
        rate_unit=rate_unit,
    )
    field = read_neuron_source(settings).select_for_session(start, np.array(IDS))
    assert field.rois.ids.tolist() == IDS


# what is recorded -> part of the error
REFUSED = {
    "no stimulus": (
        {"with_stimulus": False, "n_frames": 400},
        "has a known stimulus in 0 frames, too few to train on",
    ),
    "too short": ({"n_frames": 550}, "has a known stimulus in 250 frames, too few"),
    "no neurons": (
        {"neuron_ids": [], "roi_ids": [], "n_frames": 0},
        "has no neurons; record one with masks",
    ),
    "other masks": (
        {"neuron_ids": [7, 3, 99]},
        "has activity of neuron 99, but no mask of it",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_unsuitable_session_is_refused(tmp_path, case):
    changes, words = REFUSED[case]
    path = record_session(tmp_path, **changes)
    with pytest.raises(UserError, match=words):
        read_training_data(path)


# Which file is damaged, and part of the error or of the notice.
UNUSABLE = {
    "arrays.zarr/activity/values/zarr.json": (
        r"no activity to train on \(activity: values of 33.3 s \(1000 of 1000 rows\)"
    ),
    "arrays.zarr/stimulus/rows/zarr.json": (
        r"0 frames, too few to train on \(stimulus: rows of 32.0 s"
    ),
    "reference_plane0.npz": "cannot be read: .*training needs the masks in this file",
    "about.json": "cannot be read as a recorded session: about.json",
}


@pytest.mark.parametrize("file", UNUSABLE)
def test_a_session_that_is_too_damaged_is_refused_with_table_and_seconds(
    session, tmp_path, file
):
    damaged = Path(shutil.copytree(session, tmp_path / session.name))
    (damaged / file).write_bytes(b"")
    with pytest.raises(UserError, match=UNUSABLE[file]):
        read_training_data(damaged)


def test_a_damaged_chunk_is_a_notice_and_the_rest_is_used(session, data, tmp_path):
    damaged = Path(shutil.copytree(session, tmp_path / session.name))
    (damaged / "arrays.zarr" / "activity" / "values" / "c.13.0").write_bytes(b"")
    readable = read_training_data(damaged)
    assert readable.notices[0].startswith("activity: values of 0.8 s (24 of 1000 rows)")
    assert readable.notices[1:] == data.notices
    n_lost = readable.training.activity.isnan() & ~data.training.activity.isnan()
    assert n_lost.sum() == 24 * len(IDS)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="is not a recorded session"):
        read_training_data(tmp_path)


def test_a_session_without_its_reference_is_refused(tmp_path):
    path = record_session(tmp_path, n_frames=800)
    get_reference_path(path, 0).unlink()
    with pytest.raises(UserError, match="cannot be read"):
        read_training_data(path)
