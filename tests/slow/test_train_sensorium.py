"""Training on a Sensorium folder: checkpoint, report, resuming, a known core."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from rtrecon.config import EncoderSettings, RoiSettings, Settings
from rtrecon.core.errors import UserError
from rtrecon.daemon.field_neurons import read_neuron_source
from rtrecon.datasets.sensorium.folder import SensoriumFolder
from rtrecon.datasets.sensorium.simulated import (
    StimulusProgram,
    show_program,
    write_simulated_folder,
)
from rtrecon.encoder.api import load_encoder
from rtrecon.encoder.checkpoint import load_checkpoint
from rtrecon.encoder.convolutional.encoder import ConvolutionalEncoder
from rtrecon.protocol import messages
from rtrecon.replay.sensorium import make_start_fields
from rtrecon.training import TrainingOptions, train_on_sensorium
from rtrecon.training.compact.fit import READOUT_RECIPE, TrainingRecipe
from rtrecon.training.convolutional import readout_fit
from rtrecon.training.report import report_paths
from rtrecon.training.train import training_state_path
from tests.support.quick_calibration import calibrate_quickly
from tests.support.small_mouse import make_small_mouse

N_NEURONS, SIDE_PX, TRIAL_FRAMES = 24, 96, 150
PROGRAM = StimulusProgram(
    train=12, oracle_movies=1, repeats=3, trial_frames=TRIAL_FRAMES
)
RECIPE = TrainingRecipe(epochs=4, batch_frames=300)


def ignore_progress(*_):
    """Ignore progress."""


@pytest.fixture(scope="module", autouse=True)
def _calibrate_quickly():
    """No test here checks the result of the calibration."""
    with calibrate_quickly():
        yield


@pytest.fixture(scope="module")
def session():
    return show_program(make_small_mouse(N_NEURONS, SIDE_PX, seed=2), PROGRAM)


def written(path, session, program=PROGRAM):
    write_simulated_folder(path, session, program, session.response.spikes)
    return path


@pytest.fixture(scope="module")
def folder(session, tmp_path_factory):
    return written(tmp_path_factory.mktemp("sensorium") / "dynamic1-2-3", session)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("out") / "mouse.safetensors"
    train_on_sensorium(folder, RECIPE, out, ignore_progress)
    return out


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
    ids = np.array(fields.pop("unit_ids"))
    fields |= {"session": "s", "seq": 0, "shape": (1, len(ids)), "dtype": "float32"}
    same = messages.SessionStart(**fields)
    assert np.array_equal(neurons.select_for_session(same, ids).rois.ids, ids)
    spikes = messages.SessionStart(**(fields | {"rate_unit": None}))
    with pytest.raises(UserError, match=r"responses of a Sensorium .* sent in spikes"):
        neurons.select_for_session(spikes, ids)


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


def test_new_neurons_can_be_fitted_with_another_core(folder, trained, tmp_path):
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


def test_a_convolutional_encoder_is_trained_on_request(folder, tmp_path, monkeypatch):
    # How well three passes fit is what tests/unit/training/test_readout_fit.py checks.
    monkeypatch.setattr(readout_fit, "N_PASSES", 1)
    out = tmp_path / "convolutional.safetensors"
    start = TrainingOptions(encoder_form="convolutional")
    train_on_sensorium(folder, RECIPE, out, ignore_progress, start)
    checkpoint = load_checkpoint(out)
    assert isinstance(checkpoint.encoder, ConvolutionalEncoder)
    metadata = checkpoint.card.metadata
    assert metadata["validation_r"] > 0.05
    assert list(metadata["validation_r_by_form"]) == ["convolutional"]
    picture, numbers = report_paths(out)
    assert picture.exists()
    assert json.loads(numbers.read_text())["epochs"] == []
    movie = np.full((40, 36, 64), 127.0)
    rates = load_encoder(out).predict(movie)
    assert rates.shape == (40, N_NEURONS)
    np.testing.assert_allclose(rates[1:], rates[:-1])  # the movie does not change
