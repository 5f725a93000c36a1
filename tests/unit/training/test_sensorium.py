"""Training data read from Sensorium folders: tiers, ceiling, missing behavior."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.folder import SensoriumFolder
from rtrecon.datasets.sensorium.simulated import (
    StimulusProgram,
    show_program,
    write_simulated_folder,
)
from rtrecon.datasets.sensorium.trial import SensoriumTrial
from rtrecon.datasets.sensorium.write import NeuronTable, write_folder
from rtrecon.encoder.card import CheckpointError
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.training import TrainingOptions, train_on_sensorium
from rtrecon.training.compact.fit import TrainingRecipe
from rtrecon.training.sensorium import read_training_data
from tests.support.rounding import float32_tolerance
from tests.support.small_mouse import make_small_mouse

N_NEURONS, SIDE_PX, TRIAL_FRAMES = 24, 96, 40
PROGRAM = StimulusProgram(
    train=10, oracle_movies=1, repeats=3, trial_frames=TRIAL_FRAMES
)
RECIPE = TrainingRecipe(epochs=4, batch_frames=300)


def ignore_progress(*_):
    """Ignore progress."""


@pytest.fixture(scope="module")
def session():
    return show_program(make_small_mouse(N_NEURONS, SIDE_PX, seed=2), PROGRAM)


def write_session(path, session, program=PROGRAM):
    write_simulated_folder(path, session, program, session.response.spikes)
    return path


@pytest.fixture(scope="module")
def folder(session, tmp_path_factory):
    return write_session(tmp_path_factory.mktemp("sensorium") / "dynamic1-2-3", session)


@pytest.fixture(scope="module")
def data(folder):
    return read_training_data(SensoriumFolder(folder), ignore_progress)


def test_tiers_are_used_for_training_and_validation(data, folder):
    read = SensoriumFolder(folder)
    for part, tier in ((data.training, "train"), (data.validation, "oracle")):
        trials = [read.read_trial(index) for index in read.list_trials(tier)]
        movie = np.concatenate([trial.movie for trial in trials])
        expected = make_dct_basis().from_pixels(movie)
        # Sums over the pixels; the product sums them trial by trial.
        tolerance = float32_tolerance(movie[0].size, float(expected.abs().max()))
        torch.testing.assert_close(part.coef, expected, rtol=0, atol=tolerance)
        recorded = np.concatenate([trial.responses for trial in trials])
        begun = np.arange(len(movie)) % TRIAL_FRAMES < MEMORY_FRAMES - 1
        np.testing.assert_array_equal(part.activity[~begun], recorded[~begun])
        assert part.activity[begun].isnan().all()


def test_behavior_is_standardized_by_the_training_trials(data, folder):
    behavior = data.training.behavior
    zeros, sd = torch.zeros(len(BEHAVIOR)), behavior.std(0, correction=0)
    torch.testing.assert_close(behavior.mean(0), zeros, atol=1e-3, rtol=0)
    torch.testing.assert_close(sd, zeros + 1, atol=1e-3, rtol=0)
    read = SensoriumFolder(folder)
    recorded = np.concatenate(
        [read.read_trial(i).behavior for i in read.list_trials("train")]
    )
    raw = data.behavior_mean + data.behavior_sd * behavior
    np.testing.assert_allclose(raw, recorded, rtol=1e-3, atol=0.01)
    assert data.is_measured.all()
    assert data.notices == ()


def test_the_ceiling_is_the_share_that_repeats(tmp_path):
    """For signals of variance 1, the ceiling is r = 1 / sqrt(1 + noise variance)."""
    rng, n_frames = np.random.default_rng(0), 200
    noise_sd = np.linspace(0.2, 3.0, N_NEURONS)
    signals = rng.normal(size=(3, n_frames, N_NEURONS))
    movies = rng.integers(0, 255, (3, n_frames, *layout.MOVIE_SHAPE)).astype(np.float32)

    def make_trial(clip):
        noise = noise_sd * rng.normal(size=signals[clip].shape)
        responses = (30 + signals[clip] + noise).astype(np.float32)
        return SensoriumTrial(
            movies[clip], np.ones((n_frames, 4), np.float32), responses
        )

    trials = [("train", make_trial(0)), ("train", make_trial(0))]
    trials += [("oracle", make_trial(clip)) for clip in (1, 2) for _ in range(5)]
    ids = np.arange(N_NEURONS)
    neurons = NeuronTable(ids, np.zeros((N_NEURONS, 3)))
    write_folder(tmp_path / "mouse", neurons, n_frames, trials)
    data = read_training_data(SensoriumFolder(tmp_path / "mouse"), ignore_progress)
    np.testing.assert_allclose(data.ceiling, 1 / np.sqrt(1 + noise_sd**2), atol=0.1)


def remove_behavior(folder, column, trials):
    """Set one quantity to NaN in these trials; its index is that in `BEHAVIOR`."""
    kind, row = ("behavior", "pupil_center")[column // 2], column % 2
    for index in trials:
        file = folder.path / layout.get_trial_path(kind, index)
        array = np.load(file)
        array[row] = np.nan
        np.save(file, array)


# Name -> the missing quantity, the trial (None: all), a pattern of the notice.
MISSING = {
    "a trial's pupil": (
        0,
        1,
        r"pupil dilation was not measured in \d+\.\d%",
    ),
    "running": (
        1,
        None,
        "running speed was not measured; the encoder does not depend on it",
    ),
    "where the pupil is": (2, None, "pupil x was not measured; the encoder does not"),
    "a trial's height": (3, 1, r"pupil y was not measured in \d+\.\d%"),
}


@pytest.mark.parametrize("case", MISSING)
def test_missing_behavior_is_replaced_and_reported(session, tmp_path, case):
    column, trial, pattern = MISSING[case]
    folder = SensoriumFolder(write_session(tmp_path / "mouse", session))
    trials = range(len(folder.tiers))
    if trial is not None:
        trials = [folder.list_trials("train")[trial]]
    remove_behavior(folder, column, trials)
    data = read_training_data(folder, ignore_progress)
    behavior = data.training.behavior
    assert behavior.isfinite().all()
    imputed = slice(0, None) if trial is None else slice(TRIAL_FRAMES, 2 * TRIAL_FRAMES)
    assert not behavior[imputed, column].any()
    others = [other for other in range(len(BEHAVIOR)) if other != column]
    assert behavior[:, others].any(0).all()
    [notice] = data.notices
    assert re.search(pattern, notice)
    assert torch.isfinite(data.behavior_mean).all()


def test_without_oracle_trials_a_tenth_validates(session, tmp_path):
    folder = SensoriumFolder(write_session(tmp_path / "mouse", session))
    tiers = np.full(len(PROGRAM), "train")
    np.save(folder.path / layout.TIERS_FILE, tiers)
    data = read_training_data(SensoriumFolder(folder.path), ignore_progress)
    n_validation = len(PROGRAM) // 10
    assert len(data.validation) == n_validation * TRIAL_FRAMES
    assert len(data.training) == (len(PROGRAM) - n_validation) * TRIAL_FRAMES


# What is wrong -> the changed arguments, a pattern of the error.
REFUSED = {
    "no folder": ({"path": "nowhere"}, "is not a folder"),
    "no epochs": ({"recipe": TrainingRecipe(epochs=0)}, "epochs = 0 trains nothing"),
    "no patience": (
        {"recipe": TrainingRecipe(patience=0)},
        "patience = 0 ends training",
    ),
    "average": (
        {"recipe": TrainingRecipe(ema_decay=1.5)},
        "average = 1.5; give 0 to 1",
    ),
    "cutmix": (
        {"recipe": TrainingRecipe(cutmix_fraction=-1)},
        "cutmix = -1; give 0 to 1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_impossible_training_is_refused(folder, tmp_path, case):
    changes, pattern = REFUSED[case]
    path = tmp_path / changes["path"] if "path" in changes else folder
    with pytest.raises(UserError, match=pattern):
        train_on_sensorium(
            path, changes.get("recipe", RECIPE), tmp_path / "e.st", ignore_progress
        )


def test_a_missing_core_is_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        train_on_sensorium(
            folder,
            RECIPE,
            tmp_path / "e",
            ignore_progress,
            TrainingOptions(core_checkpoint=tmp_path / "none"),
        )


def test_a_folder_without_training_trials_is_refused(session, tmp_path):
    path = write_session(tmp_path / "mouse", session)
    np.save(path / layout.TIERS_FILE, np.full(len(PROGRAM), "oracle"))
    with pytest.raises(UserError, match="has 0 trials of tier 'train'; training needs"):
        read_training_data(SensoriumFolder(path), ignore_progress)


def test_a_missing_response_is_refused(session, tmp_path):
    folder = SensoriumFolder(write_session(tmp_path / "mouse", session))
    index = folder.list_trials("train")[1]
    file = folder.path / layout.get_trial_path("responses", index)
    responses = np.load(file)
    responses[5, 20] = np.nan
    np.save(file, responses)
    words = rf"no response \(NaN\) of neuron index 5 in frame 20 of trial {index}"
    with pytest.raises(UserError, match=words):
        read_training_data(folder, ignore_progress)
