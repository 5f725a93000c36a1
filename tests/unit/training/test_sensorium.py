"""Training on Sensorium folders: tiers, ceiling, missing behavior, resuming."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from rtrecon.config import EncoderSettings, RoiSettings, Settings
from rtrecon.core.errors import UserError
from rtrecon.daemon.field_neurons import read_neuron_source
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
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.replay.sensorium import make_start_fields
from rtrecon.simulate.session import make_imaged_mouse
from rtrecon.training import TrainingOptions, calibration, train_on_sensorium
from rtrecon.training.compact.fit import READOUT_RECIPE, TrainingRecipe
from rtrecon.training.report import report_paths
from rtrecon.training.sensorium import read_training_data
from rtrecon.training.train import training_state_path

N_NEURONS, SIDE_PX, TRIAL_FRAMES = 24, 96, 150
PROGRAM = StimulusProgram(
    train=12, oracle_movies=1, repeats=3, trial_frames=TRIAL_FRAMES
)
RECIPE = TrainingRecipe(epochs=4, batch_frames=300)


def ignore_progress(*_):
    """Ignore progress."""


@pytest.fixture(scope="module", autouse=True)
def _calibrate_quickly():
    """Calibrate with one data weight and few steps; no test here checks the result."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "DATA_WEIGHTS", (0.25,))
        patch.setattr(calibration, "_STEPS_PER_HOP", 2)
        yield


@pytest.fixture(scope="module")
def session():
    return show_program(make_imaged_mouse(N_NEURONS, SIDE_PX, seed=2), PROGRAM)


def written(path, session, program=PROGRAM):
    write_simulated_folder(path, session, program, session.response.spikes)
    return path


@pytest.fixture(scope="module")
def folder(session, tmp_path_factory):
    return written(tmp_path_factory.mktemp("sensorium") / "dynamic1-2-3", session)


@pytest.fixture(scope="module")
def data(folder):
    return read_training_data(SensoriumFolder(folder), ignore_progress)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("out") / "mouse.safetensors"
    train_on_sensorium(folder, RECIPE, out, ignore_progress)
    return out


def test_tiers_are_used_for_training_and_validation(data, folder):
    read = SensoriumFolder(folder)
    for part, tier in ((data.training, "train"), (data.validation, "oracle")):
        trials = [read.read_trial(index) for index in read.list_trials(tier)]
        movie = np.concatenate([trial.movie for trial in trials])
        torch.testing.assert_close(part.coef, make_dct_basis().from_pixels(movie))
        recorded = np.concatenate([trial.responses for trial in trials])
        begun = np.arange(len(movie)) % TRIAL_FRAMES < MEMORY_FRAMES - 1
        np.testing.assert_array_equal(part.activity[~begun], recorded[~begun])
        assert part.activity[begun].isnan().all()


def test_behavior_is_standardized_by_the_training_trials(data, folder):
    behavior = data.training.behavior
    n_told = len(BEHAVIOR)
    torch.testing.assert_close(behavior.mean(0), torch.zeros(n_told), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        behavior.std(0, correction=0), torch.ones(n_told), atol=1e-3, rtol=0
    )
    read = SensoriumFolder(folder)
    did = np.concatenate(
        [read.read_trial(i).behavior for i in read.list_trials("train")]
    )
    raw = data.behavior_mean + data.behavior_sd * behavior
    np.testing.assert_allclose(raw, did, rtol=1e-3, atol=0.01)
    assert data.is_measured.all()
    assert data.notices == ()


def test_the_ceiling_is_the_share_that_repeats(tmp_path):
    """Of signals of variance 1 a perfect encoder has r = 1 / sqrt(1 + noise's)."""
    rng, n_frames = np.random.default_rng(0), 300
    noise_sd = np.linspace(0.2, 3.0, N_NEURONS)
    signals = rng.normal(size=(3, n_frames, N_NEURONS))
    movies = rng.integers(0, 255, (3, n_frames, *layout.MOVIE_SHAPE)).astype(np.float32)

    def trial(clip):
        noise = noise_sd * rng.normal(size=signals[clip].shape)
        responses = (30 + signals[clip] + noise).astype(np.float32)
        return SensoriumTrial(
            movies[clip], np.ones((n_frames, 4), np.float32), responses
        )

    trials = [("train", trial(0)), ("train", trial(0))]
    trials += [("oracle", trial(clip)) for clip in (1, 2) for _ in range(5)]
    ids = np.arange(N_NEURONS)
    neurons = NeuronTable(ids, np.zeros((N_NEURONS, 3)))
    write_folder(tmp_path / "mouse", neurons, n_frames, trials)
    found = read_training_data(
        SensoriumFolder(tmp_path / "mouse"), ignore_progress
    ).ceiling
    np.testing.assert_allclose(found, 1 / np.sqrt(1 + noise_sd**2), atol=0.1)


def test_training_writes_a_checkpoint(trained, folder):
    checkpoint, read = load_checkpoint(trained), SensoriumFolder(folder)
    meta = checkpoint.card.metadata
    assert checkpoint.card.rois.ids.tolist() == read.unit_ids.tolist()
    assert meta["sensorium"] == "dynamic1-2-3"
    assert meta["coordinates_um"] == read.coordinates_um.tolist()
    assert meta["rate_hz"] == 30
    assert meta["validation_r"] > 0.05
    assert not training_state_path(trained).exists()


def test_the_daemon_accepts_the_checkpoint_for_the_same_responses_only(trained, folder):
    settings = Settings(encoder=EncoderSettings(checkpoint=str(trained)))
    neurons, fields = (
        read_neuron_source(settings),
        make_start_fields(SensoriumFolder(folder)),
    )
    same = messages.SessionStart(session="s", seq=0, **fields)
    assert neurons.select_for_session(same).rois.ids.tolist() == fields["units"]
    spikes = messages.SessionStart(session="s", seq=0, **(fields | {"rate_unit": None}))
    with pytest.raises(UserError, match=r"responses of a Sensorium .* sent in spikes"):
        neurons.select_for_session(spikes)


def test_masks_are_refused_with_such_a_checkpoint(trained, tmp_path):
    masks = tmp_path / "regions.json"
    masks.write_text('[{"coordinates": [[0, 0]]}]')
    settings = Settings(
        encoder=EncoderSettings(checkpoint=str(trained)),
        rois=RoiSettings(path=str(masks)),
    )
    with pytest.raises(UserError, match="of a Sensorium recording, but images give"):
        read_neuron_source(settings)


def test_a_report_is_written_beside_the_checkpoint(trained):
    picture, numbers = report_paths(trained)
    assert imread(picture).shape[1] > 800
    reported = json.loads(numbers.read_text())
    assert [epoch["epoch"] for epoch in reported["epochs"]] == [1, 2, 3, 4]
    assert len(reported["r"]) == len(reported["ceiling"]) == N_NEURONS
    assert (
        reported["validation_r"]
        == load_checkpoint(trained).card.metadata["validation_r"]
    )
    assert 0 < reported["fraction_of_ceiling"] < 1.2


def interrupt_after_an_epoch(folder, out):
    epochs = []

    def report(stage, share, word):
        if stage == "fitting" and word.startswith("loss"):
            epochs.append(word)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_on_sensorium(folder, RECIPE, out, report)


def test_interrupted_training_is_resumed_on_request(folder, trained, tmp_path):
    out = tmp_path / "mouse.safetensors"
    interrupt_after_an_epoch(folder, out)
    with pytest.raises(UserError, match="holds an interrupted training; continue it"):
        train_on_sensorium(folder, RECIPE, out, ignore_progress)
    reported = []
    start = TrainingOptions(resume=True)
    train_on_sensorium(folder, RECIPE, out, lambda *word: reported.append(word), start)
    assert sum(word.startswith("loss") for *_, word in reported) == RECIPE.epochs - 2
    assert torch.equal(
        load_checkpoint(out).encoder.spatial_filters,
        load_checkpoint(trained).encoder.spatial_filters,
    )


def test_new_neurons_can_be_fitted_on_a_known_core(folder, trained, tmp_path):
    out = tmp_path / "new.safetensors"
    made = train_on_sensorium(
        folder,
        replace(READOUT_RECIPE, epochs=5),
        out,
        ignore_progress,
        TrainingOptions(core_checkpoint=trained),
    )
    known = load_checkpoint(trained)
    assert torch.equal(made.prior.ar_coefficient, known.prior.ar_coefficient)
    assert made.card.metadata["core_checkpoint"] == str(trained)
    assert made.card.metadata["validation_r"] > 0.05


def lose(folder, place, trials):
    """Lose one input of behavior: which, in the order of `BEHAVIOR`."""
    kind, row = ("behavior", "pupil_center")[place // 2], place % 2
    for index in trials:
        file = folder.path / layout.get_trial_path(kind, index)
        array = np.load(file)
        array[row] = np.nan
        np.save(file, array)


# what is lost, in which trial (None: all) -> words of the note
MISSING = {
    "a trial's pupil": (
        0,
        1,
        r"pupil dilation was not measured in \d.\d%",
    ),
    "running": (
        1,
        None,
        "running speed was not measured; the encoder does not depend on it",
    ),
    "where the pupil is": (2, None, "pupil x was not measured; the encoder does not"),
    "a trial's height": (3, 1, r"pupil y was not measured in \d.\d%"),
}


@pytest.mark.parametrize("case", MISSING)
def test_missing_behavior_is_replaced_and_reported(session, tmp_path, case):
    place, one, words = MISSING[case]
    folder = SensoriumFolder(written(tmp_path / "mouse", session))
    every = range(len(folder.tiers))
    lose(folder, place, every if one is None else [folder.list_trials("train")[one]])
    data = read_training_data(folder, ignore_progress)
    behavior = data.training.behavior
    assert behavior.isfinite().all()
    imputed = slice(0, None) if one is None else slice(TRIAL_FRAMES, 2 * TRIAL_FRAMES)
    assert not behavior[imputed, place].any()
    others = [other for other in range(len(BEHAVIOR)) if other != place]
    assert behavior[:, others].any(0).all()
    [note] = data.notices
    assert re.search(words, note)
    assert torch.isfinite(data.behavior_mean).all()


def test_without_oracle_trials_a_tenth_validates(session, tmp_path):
    folder = SensoriumFolder(written(tmp_path / "mouse", session))
    tiers = np.full(len(PROGRAM), "train")
    np.save(folder.path / layout.TIERS_FILE, tiers)
    data = read_training_data(SensoriumFolder(folder.path), ignore_progress)
    n_kept = len(PROGRAM) // 10
    assert len(data.validation) == n_kept * TRIAL_FRAMES
    assert len(data.training) == (len(PROGRAM) - n_kept) * TRIAL_FRAMES


# what is wrong -> what is asked for, words of the refusal
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
    asked, words = REFUSED[case]
    path = tmp_path / asked["path"] if "path" in asked else folder
    with pytest.raises(UserError, match=words):
        train_on_sensorium(
            path, asked.get("recipe", RECIPE), tmp_path / "e.st", ignore_progress
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
    path = written(tmp_path / "mouse", session)
    np.save(path / layout.TIERS_FILE, np.full(len(PROGRAM), "oracle"))
    with pytest.raises(UserError, match="has 0 trials of tier 'train'; training needs"):
        read_training_data(SensoriumFolder(path), ignore_progress)


def test_a_missing_response_is_refused(session, tmp_path):
    folder = SensoriumFolder(written(tmp_path / "mouse", session))
    index = folder.list_trials("train")[1]
    file = folder.path / layout.get_trial_path("responses", index)
    responses = np.load(file)
    responses[5, 20] = np.nan
    np.save(file, responses)
    words = rf"no response \(NaN\) of neuron index 5 in frame 20 of trial {index}"
    with pytest.raises(UserError, match=words):
        read_training_data(folder, ignore_progress)
