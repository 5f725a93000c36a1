"""`rtrecon train`, from a simulated session to a checkpoint, at a very small size."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.encoder.card import read_card
from rtrecon.encoder.checkpoint import load
from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.simulate.movie import RATE_HZ
from rtrecon.training import SimulatedTraining, train_simulated
from rtrecon.training.calibration import TEMPERATURES
from rtrecon.training.compact import fit
from rtrecon.training.compact.data import Data
from rtrecon.training.score import correlation, pearson
from rtrecon.training.simulated import acquire
from rtrecon.training.split import SETTLE_FRAMES
from tests.support import trained_encoder

LEAST_MINUTES, BATCH_FRAMES = 0.5, 200  # of which not one less will do


@pytest.fixture(scope="module")
def checkpoint(small_checkpoint):
    return load(small_checkpoint)


@pytest.fixture(scope="module")
def world(small_checkpoint):
    return trained_encoder.world_of(small_checkpoint)


@pytest.fixture(scope="module")
def new(world):
    """Another day of the same mouse, acquired by the chain that runs live."""
    session = trained_encoder.new_session(world, seconds=25)
    return acquire(world, session, Settings(), lambda *_: None)


def test_the_card_says_where_it_came_from(small_checkpoint):
    meta = read_card(small_checkpoint).meta
    assert meta["command"].startswith("rtrecon")
    assert meta["rate_hz"] == RATE_HZ
    assert meta["traces"] == Settings().traces.model_dump()
    assert meta["simulated"] == {
        "minutes": trained_encoder.MINUTES,
        "n_neurons": trained_encoder.N_NEURONS,
        "side_px": trained_encoder.SIDE_PX,
        "mouse_seed": trained_encoder.MOUSE,
    }


def test_neurons_are_the_worlds_in_its_order(checkpoint, world):
    rois, masks = checkpoint.card.rois, world.field.masks
    np.testing.assert_array_equal(rois.ids, masks.ids)
    np.testing.assert_array_equal(rois.centers(), masks.centers())


def test_the_mean_image_is_of_that_field(checkpoint, world):
    image = checkpoint.card.mean_image[0]
    somata = np.zeros_like(image)
    somata[world.field.masks.rows, world.field.masks.cols] = 1
    assert np.corrcoef(image.ravel(), somata.ravel())[0, 1] > 0.6


def test_it_predicts_another_day(checkpoint, new):
    r = correlation(checkpoint.model, as_data(checkpoint, new))
    assert np.nanmean(r) > 0.15
    assert np.nanmean(r) == pytest.approx(
        checkpoint.card.meta["validation_r"], abs=0.12
    )


def test_it_predicts_no_other_hour(checkpoint, new):
    data = as_data(checkpoint, new)
    later = Data(data.coef, data.behavior, data.activity.roll(200, dims=0))
    assert abs(np.nanmean(correlation(checkpoint.model, later))) < 0.07


def as_data(checkpoint, acquired):
    told = torch.from_numpy(acquired.session.behavior.measured())
    scaled = checkpoint.calibration.scaled(told)
    coef = spectrum().from_pixels(acquired.session.movie)
    activity = torch.from_numpy(acquired.activity)
    return Data(coef, scaled, activity).part(SETTLE_FRAMES, len(activity))


def test_activity_follows_spikes_frame_by_frame(new):
    activity = new.activity[SETTLE_FRAMES:]
    spikes = new.session.response.spikes[SETTLE_FRAMES:][: len(activity)]
    assert np.isfinite(activity).all()
    by_lag = {
        lag: np.nanmean(pearson(activity, np.roll(spikes, lag, axis=0)))
        for lag in range(-3, 4)
    }
    assert max(by_lag, key=by_lag.get) == 0
    assert by_lag[0] > 0.3


def test_calibration_is_of_what_was_measured(checkpoint):
    calibration = checkpoint.calibration
    assert calibration.temperature in TEMPERATURES
    assert (calibration.dispersion > 0).all()
    assert calibration.identifiability.shape == SHAPE
    assert calibration.identifiability.min() >= 0
    assert 0 < calibration.identifiability.max() < 1
    coarse, fine = calibration.heard[:20].mean(), calibration.heard[-20:].mean()
    assert 1 > coarse > fine > 0
    pupil, speed, *center = calibration.behavior_mean.tolist()
    assert 30 < pupil < 70
    assert 0 <= speed < 10
    assert center == [0, 0]


def test_what_the_simulated_mouse_does_not_tell_is_noted_and_has_no_gain(checkpoint):
    notes = checkpoint.card.meta["notes"]
    assert [note.partition(" was ")[0] for note in notes] == ["pupil x", "pupil y"]
    assert checkpoint.model.gain.any(1).tolist() == [True, True, False, False]


def attempt(path: Path, minutes=LEAST_MINUTES, neurons=30, epochs=2):
    """Train at 96 px; returns what was reported: stage, share, word."""
    plan = SimulatedTraining(minutes, neurons, side_px=96)
    recipe = fit.Recipe(epochs, batch_frames=BATCH_FRAMES)
    told: list[tuple[str, float, str]] = []
    try:
        train_simulated(plan, recipe, Settings(), path, lambda *word: told.append(word))
    except UserError as error:
        assert not told, "refused only after work was done"
        raise error
    return told


def test_the_least_that_is_asked_for_is_enough(tmp_path):
    torch.set_num_threads(trained_encoder.THREADS)
    path = tmp_path / "least.safetensors"
    told = attempt(path)
    assert load(path).card.meta["simulated"]["minutes"] == LEAST_MINUTES
    stages = itertools.groupby(told, key=lambda word: word[0])
    shares = {stage: [share for _, share, _ in words] for stage, words in stages}
    assert list(shares) == ["imaging", "fitting", "calibrating"]
    for stage, shares_done in shares.items():
        assert shares_done == sorted(shares_done), stage
        assert shares_done[-1] == 1, stage


# what is asked for -> words of the refusal, which comes at once
REFUSED = {
    "too short": ({"minutes": 0.49}, r"0.49 minutes is too short .*; give 0.5 or more"),
    "no time": ({"minutes": 0}, r"0 minutes is too short"),
    "negative time": ({"minutes": -3}, r"-3 minutes is too short"),
    "no number": ({"minutes": float("nan")}, r"nan minutes is too short"),
    "no epochs": ({"epochs": 0}, "epochs = 0 trains nothing; give 1 or more"),
    "too many neurons": ({"neurons": 400}, "400 neurons do not fit .* 96 x 96 px"),
    "no neurons": ({"neurons": 0}, "0 neurons see nothing; give 1 or more"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_at_once(tmp_path, case):
    asked, words = REFUSED[case]
    with pytest.raises(UserError, match=words):
        attempt(tmp_path / "none.safetensors", **asked)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_place_to_write_to(tmp_path):
    with pytest.raises(UserError, match="is a folder; give a file"):
        attempt(tmp_path)
