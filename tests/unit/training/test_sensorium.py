"""Training from Sensorium folders: what is read, kept apart, imputed and told."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from rtrecon.config import EncoderSettings, RoiSettings, Settings
from rtrecon.core.errors import UserError
from rtrecon.daemon.field_neurons import read_neurons
from rtrecon.datasets.sensorium import layout
from rtrecon.datasets.sensorium.folder import Folder
from rtrecon.datasets.sensorium.simulated import Program, show, write_session
from rtrecon.datasets.sensorium.trial import Trial
from rtrecon.datasets.sensorium.write import Neurons, write_folder
from rtrecon.encoder.card import CheckpointError
from rtrecon.encoder.checkpoint import load
from rtrecon.encoder.compact import MEMORY
from rtrecon.encoder.spectrum import spectrum
from rtrecon.protocol import messages
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.replay.sensorium import start_fields
from rtrecon.simulate.session import make_world
from rtrecon.training import Start, train_sensorium
from rtrecon.training.compact.fit import READOUTS, Recipe
from rtrecon.training.report import report_files
from rtrecon.training.sensorium import read_material
from rtrecon.training.train import state_file

N_NEURONS, SIDE_PX, TRIAL_FRAMES = 24, 96, 150
PROGRAM = Program(train=12, oracle_movies=1, repeats=3, trial_frames=TRIAL_FRAMES)
RECIPE = Recipe(epochs=4, batch_frames=300)


def silent(*_):
    """Tell nobody."""


@pytest.fixture(scope="module")
def session():
    return show(make_world(N_NEURONS, SIDE_PX, seed=2), PROGRAM)


def written(path, session, program=PROGRAM):
    write_session(path, session, program, session.response.spikes)
    return path


@pytest.fixture(scope="module")
def folder(session, tmp_path_factory):
    return written(tmp_path_factory.mktemp("sensorium") / "dynamic1-2-3", session)


@pytest.fixture(scope="module")
def material(folder):
    return read_material(Folder(folder), silent)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("out") / "mouse.safetensors"
    train_sensorium(folder, RECIPE, out, silent)
    return out


def test_tiers_are_kept_apart(material, folder):
    read = Folder(folder)
    for data, tier in ((material.training, "train"), (material.validation, "oracle")):
        trials = [read.trial(index) for index in read.tier(tier)]
        movie = np.concatenate([trial.movie for trial in trials])
        torch.testing.assert_close(data.coef, spectrum().from_pixels(movie))
        recorded = np.concatenate([trial.responses for trial in trials])
        begun = np.arange(len(movie)) % TRIAL_FRAMES < MEMORY - 1
        np.testing.assert_array_equal(data.activity[~begun], recorded[~begun])
        assert data.activity[begun].isnan().all()


def test_behaviour_is_measured_by_the_training_trials(material, folder):
    behavior = material.training.behavior
    n_told = len(BEHAVIOR)
    torch.testing.assert_close(behavior.mean(0), torch.zeros(n_told), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        behavior.std(0, correction=0), torch.ones(n_told), atol=1e-3, rtol=0
    )
    read = Folder(folder)
    did = np.concatenate([read.trial(i).behavior for i in read.tier("train")])
    raw = material.behavior_mean + material.behavior_sd * behavior
    np.testing.assert_allclose(raw, did, rtol=1e-3, atol=0.01)
    assert material.measured.all()
    assert material.notes == ()


def test_the_ceiling_is_what_repeats(tmp_path):
    """Of signals of variance 1 a perfect encoder has r = 1 / sqrt(1 + noise's)."""
    rng, n_frames = np.random.default_rng(0), 300
    noise_sd = np.linspace(0.2, 3.0, N_NEURONS)
    signals = rng.normal(size=(3, n_frames, N_NEURONS))
    movies = rng.integers(0, 255, (3, n_frames, *layout.SHAPE)).astype(np.float32)

    def trial(clip):
        noise = noise_sd * rng.normal(size=signals[clip].shape)
        told = (10 + signals[clip] + noise).astype(np.float32)
        return Trial(movies[clip], np.ones((n_frames, 4), np.float32), told)

    trials = [("train", trial(0)), ("train", trial(0))]
    trials += [("oracle", trial(clip)) for clip in (1, 2) for _ in range(5)]
    ids = np.arange(N_NEURONS)
    neurons = Neurons(ids, np.zeros((N_NEURONS, 3)))
    write_folder(tmp_path / "mouse", neurons, n_frames, trials)
    found = read_material(Folder(tmp_path / "mouse"), silent).ceiling
    np.testing.assert_allclose(found, 1 / np.sqrt(1 + noise_sd**2), atol=0.1)


def test_a_checkpoint_comes_of_it(trained, folder):
    checkpoint, read = load(trained), Folder(folder)
    meta = checkpoint.card.meta
    assert checkpoint.card.rois.ids.tolist() == read.unit_ids.tolist()
    assert meta["sensorium"] == "dynamic1-2-3"
    assert meta["coordinates_um"] == read.coordinates_um.tolist()
    assert meta["rate_hz"] == 30
    assert meta["validation_r"] > 0.05
    assert not state_file(trained).exists()


def test_the_front_takes_it_for_the_same_responses_alone(trained, folder):
    settings = Settings(encoder=EncoderSettings(checkpoint=str(trained)))
    neurons, fields = read_neurons(settings), start_fields(Folder(folder))
    same = messages.Start(session="s", seq=0, **fields)
    assert neurons.of(same).rois.ids.tolist() == fields["units"]
    spikes = messages.Start(session="s", seq=0, **(fields | {"rates_in": None}))
    with pytest.raises(UserError, match=r"responses of a Sensorium .* come in spikes"):
        neurons.of(spikes)


def test_masks_do_not_go_with_it(trained, tmp_path):
    masks = tmp_path / "regions.json"
    masks.write_text('[{"coordinates": [[0, 0]]}]')
    settings = Settings(
        encoder=EncoderSettings(checkpoint=str(trained)),
        rois=RoiSettings(path=str(masks)),
    )
    with pytest.raises(UserError, match="of a Sensorium recording, but images give"):
        read_neurons(settings)


def test_a_report_lies_beside_it(trained):
    picture, numbers = report_files(trained)
    assert imread(picture).shape[1] > 800
    told = json.loads(numbers.read_text())
    assert [epoch["epoch"] for epoch in told["epochs"]] == [1, 2, 3, 4]
    assert len(told["r"]) == len(told["ceiling"]) == N_NEURONS
    assert told["validation_r"] == load(trained).card.meta["validation_r"]
    assert 0 < told["fraction_of_ceiling"] < 1.2


def interrupt_after_an_epoch(folder, out):
    epochs = []

    def report(stage, share, word):
        if stage == "fitting" and word.startswith("misfit"):
            epochs.append(word)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_sensorium(folder, RECIPE, out, report)


def test_interrupted_training_goes_on_when_told_to(folder, trained, tmp_path):
    out = tmp_path / "mouse.safetensors"
    interrupt_after_an_epoch(folder, out)
    with pytest.raises(UserError, match="holds a training that was not over; go on"):
        train_sensorium(folder, RECIPE, out, silent)
    told = []
    start = Start(resume=True)
    train_sensorium(folder, RECIPE, out, lambda *word: told.append(word), start)
    assert sum(word.startswith("misfit") for *_, word in told) == RECIPE.epochs - 2
    assert torch.equal(load(out).model.filters, load(trained).model.filters)


def test_new_neurons_are_fitted_on_a_known_core(folder, trained, tmp_path):
    out = tmp_path / "new.safetensors"
    made = train_sensorium(folder, READOUTS, out, silent, Start(core=trained))
    known = load(trained)
    assert torch.equal(made.prior.rho, known.prior.rho)
    assert made.card.meta["core"] == str(trained)
    assert made.card.meta["validation_r"] > 0.05


def lose(folder, place, trials):
    """Lose one input of behaviour: which, in the order of `BEHAVIOR`."""
    kind, row = ("behavior", "pupil_center")[place // 2], place % 2
    for index in trials:
        file = folder.path / layout.trial_file(kind, index)
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
    "running": (1, None, "running speed was not measured; the encoder will not know"),
    "where the pupil is": (2, None, "pupil x was not measured; the encoder will not"),
    "a trial's height": (3, 1, r"pupil y was not measured in \d.\d%"),
}


@pytest.mark.parametrize("case", MISSING)
def test_missing_behaviour_is_imputed_and_told(session, tmp_path, case):
    place, one, words = MISSING[case]
    folder = Folder(written(tmp_path / "mouse", session))
    every = range(len(folder.tiers))
    lose(folder, place, every if one is None else [folder.tier("train")[one]])
    material = read_material(folder, silent)
    behavior = material.training.behavior
    assert behavior.isfinite().all()
    imputed = slice(0, None) if one is None else slice(TRIAL_FRAMES, 2 * TRIAL_FRAMES)
    assert not behavior[imputed, place].any()
    others = [other for other in range(len(BEHAVIOR)) if other != place]
    assert behavior[:, others].any(0).all()
    [note] = material.notes
    assert re.search(words, note)
    assert torch.isfinite(material.behavior_mean).all()


def test_without_oracle_trials_a_tenth_is_kept(session, tmp_path):
    folder = Folder(written(tmp_path / "mouse", session))
    tiers = np.full(len(PROGRAM), "train")
    np.save(folder.path / layout.TIERS_FILE, tiers)
    material = read_material(Folder(folder.path), silent)
    n_kept = len(PROGRAM) // 10
    assert len(material.validation) == n_kept * TRIAL_FRAMES
    assert len(material.training) == (len(PROGRAM) - n_kept) * TRIAL_FRAMES


# what is wrong -> what is asked for, words of the refusal
REFUSED = {
    "no folder": ({"path": "nowhere"}, "is not a folder"),
    "no epochs": ({"recipe": Recipe(epochs=0)}, "epochs = 0 trains nothing"),
    "no patience": ({"recipe": Recipe(patience=0)}, "patience = 0 ends training"),
    "average": ({"recipe": Recipe(average=1.5)}, "average = 1.5; give 0 to 1"),
    "cutmix": ({"recipe": Recipe(cutmix=-1)}, "cutmix = -1; give 0 to 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused(folder, tmp_path, case):
    asked, words = REFUSED[case]
    path = tmp_path / asked["path"] if "path" in asked else folder
    with pytest.raises(UserError, match=words):
        train_sensorium(path, asked.get("recipe", RECIPE), tmp_path / "e.st", silent)


def test_a_core_that_does_not_exist_is_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        train_sensorium(
            folder, RECIPE, tmp_path / "e", silent, Start(core=tmp_path / "none")
        )


def test_a_folder_without_training_trials_is_refused(session, tmp_path):
    path = written(tmp_path / "mouse", session)
    np.save(path / layout.TIERS_FILE, np.full(len(PROGRAM), "oracle"))
    with pytest.raises(UserError, match="has 0 trials of tier 'train'; training needs"):
        read_material(Folder(path), silent)
