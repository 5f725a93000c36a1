"""Training on a simulated session gives an encoder that predicts a new session."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from rtrecon.config import Settings
from rtrecon.encoder.card import read_card
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.simulate.imaged_mouse import ImagedMouseOptions
from rtrecon.simulate.movie import RATE_HZ
from rtrecon.simulate.subjects.subject import SubjectOptions
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from rtrecon.training import SimulatedTraining, train_on_simulation
from rtrecon.training.calibration import DATA_WEIGHTS, DECODER_DATA_WEIGHTS
from rtrecon.training.compact import fit
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.score import compute_correlation, correlate_columns
from rtrecon.training.simulated import acquire_session
from rtrecon.training.training_data import SETTLE_FRAMES
from tests.support import trained_encoder
from tests.support.quick_calibration import calibrate_quickly

SHORTEST_MINUTES = 0.5  # that training accepts


@pytest.fixture(scope="module")
def checkpoint(small_checkpoint):
    return load_checkpoint(small_checkpoint)


@pytest.fixture(scope="module")
def world(small_checkpoint):
    return trained_encoder.rebuild_world(small_checkpoint)


@pytest.fixture(scope="module")
def new(world):
    """Another day of the same mouse, acquired by the processing that runs live."""
    session = trained_encoder.make_new_session(world, seconds=25)
    return acquire_session(world, session, Settings(), lambda *_: None)


def test_the_metadata_describe_the_training(small_checkpoint):
    meta = read_card(small_checkpoint).metadata
    assert meta["command"].startswith("rtrecon")
    assert meta["rate_hz"] == RATE_HZ
    assert meta["traces"] == Settings().traces.model_dump()
    assert meta["simulated"] == {
        "minutes": trained_encoder.MINUTES,
        "n_neurons": trained_encoder.N_NEURONS,
        "side_px": trained_encoder.SIDE_PX,
        "mouse_seed": trained_encoder.MOUSE,
        "subject": "simulated",
        "spread": None,
        "direction_selective": None,
        "noise": "poisson",
        "file_sha256": "",
        "movies": {"generated scenes": trained_encoder.MINUTES * 60 / 5},
        "files": [],
    }


def test_neurons_have_the_order_of_the_simulated_masks(checkpoint, world):
    rois, masks = checkpoint.card.rois, world.field.masks
    np.testing.assert_array_equal(rois.ids, masks.ids)
    np.testing.assert_array_equal(rois.compute_centers(), masks.compute_centers())


def test_the_mean_image_shows_the_somata(checkpoint, world):
    image = checkpoint.card.mean_image[0]
    somata = np.zeros_like(image)
    somata[world.field.masks.rows, world.field.masks.cols] = 1
    assert np.corrcoef(image.ravel(), somata.ravel())[0, 1] > 0.6


def test_the_encoder_predicts_a_new_session(checkpoint, new):
    r = compute_correlation(checkpoint.encoder, as_data(checkpoint, new))
    assert np.nanmean(r) > 0.15
    assert np.nanmean(r) == pytest.approx(
        checkpoint.card.metadata["validation_r"], abs=0.12
    )


def test_predictions_do_not_correlate_with_shifted_activity(checkpoint, new):
    data = as_data(checkpoint, new)
    later = EncoderData(data.coef, data.behavior, data.activity.roll(200, dims=0))
    assert abs(np.nanmean(compute_correlation(checkpoint.encoder, later))) < 0.07


def as_data(checkpoint, acquired):
    reported = torch.from_numpy(acquired.session.behavior.stack_measured())
    scaled = checkpoint.calibration.standardize_behavior(reported)
    coef = make_dct_basis().from_pixels(acquired.session.movie)
    activity = torch.from_numpy(acquired.activity)
    return EncoderData(coef, scaled, activity).slice_frames(
        SETTLE_FRAMES, len(activity)
    )


def test_activity_is_aligned_with_spikes(new):
    activity = new.activity[SETTLE_FRAMES:]
    spikes = new.session.response.spikes[SETTLE_FRAMES:][: len(activity)]
    assert np.isfinite(activity).all()
    by_lag = {
        lag: np.nanmean(correlate_columns(activity, np.roll(spikes, lag, axis=0)))
        for lag in range(-3, 4)
    }
    assert max(by_lag, key=by_lag.get) == 0
    assert by_lag[0] > 0.3


def test_calibration_values_are_plausible(checkpoint):
    calibration = checkpoint.calibration
    assert calibration.data_weight in DATA_WEIGHTS
    assert checkpoint.decoder.data_weight in DECODER_DATA_WEIGHTS
    assert (calibration.dispersion > 0).all()
    assert calibration.identifiability.shape == IMAGE_SHAPE
    assert calibration.identifiability.min() >= 0
    assert 0 < calibration.identifiability.max() < 1
    coarse, fine = (
        calibration.innovation_power[:20].mean(),
        calibration.innovation_power[-20:].mean(),
    )
    assert 1 > coarse > fine > 0
    pupil, speed, *center = calibration.behavior_mean.tolist()
    assert 30 < pupil < 70
    assert 0 <= speed < 10
    assert center == [0, 0]


def test_the_decoder_is_calibrated_on_clips_that_it_was_not_fitted_to(checkpoint):
    decoder, prior = checkpoint.decoder, checkpoint.prior
    share = decoder.residual_variance.sum(1) / prior.variance.sum()
    assert share[-1] < share[0]  # later activity helps
    assert 0 < share[-1] < 1.2
    found = checkpoint.card.metadata["validation_pixel_r"]
    assert 0 < found["decoder"] < found["inversion"] < 1
    assert 0 < found["inversion_without_decoder"] < 1
    # The stored gain is that of live movies, which differ from the final ones.
    final_gain = found["inversion"] - found["inversion_without_decoder"]
    assert final_gain - 0.1 < decoder.gain < final_gain + 0.1


def test_behavior_that_was_not_measured_is_reported_and_has_no_gain(checkpoint):
    notes = checkpoint.card.metadata["notices"]
    assert [note.partition(" was ")[0] for note in notes] == ["pupil x", "pupil y"]
    assert checkpoint.encoder.behavior_gain.any(1).tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_the_shortest_allowed_session_is_enough(tmp_path, monkeypatch):
    # Making the mouse would otherwise take most of the time.
    monkeypatch.setattr("rtrecon.simulate.imaged_mouse._CALIBRATION_FRAMES", 300)
    torch.set_num_threads(trained_encoder.THREADS)
    path = tmp_path / "shortest.safetensors"
    mouse = ImagedMouseOptions(SubjectOptions(n_neurons=30), side_px=96)
    plan = SimulatedTraining(SHORTEST_MINUTES, mouse)
    recipe = fit.TrainingRecipe(epochs=2, batch_frames=200)
    reported: list[tuple[str, float, str]] = []
    with calibrate_quickly():
        train_on_simulation(
            plan, recipe, Settings(), path, lambda *word: reported.append(word)
        )
    metadata = load_checkpoint(path).card.metadata
    assert metadata["simulated"]["minutes"] == SHORTEST_MINUTES
    stages = itertools.groupby(reported, key=lambda word: word[0])
    shares = {stage: [share for _, share, _ in words] for stage, words in stages}
    assert list(shares) == [
        "simulating",
        "imaging",
        "fitting",
        "calibrating",
        "calibrating the decoder",
        "calibrating the spread",
    ]
    for stage, shares_done in shares.items():
        assert shares_done == sorted(shares_done), stage
        assert shares_done[-1] == 1, stage
