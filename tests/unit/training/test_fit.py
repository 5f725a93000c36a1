"""Fitting can be interrupted and resumed, and stops at values that are not finite."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.training.compact.fit import FitJob, TrainingRecipe, fit_encoder
from rtrecon.training.score import (
    correlate_columns,
)
from tests.support.fit_world import (
    make_fit_data,
)

N_TRAINING, N_VALIDATION = 400, 100


@pytest.fixture(scope="module")
def data():
    torch.set_num_threads(1)
    return make_fit_data(N_TRAINING + N_VALIDATION, seed=0)


@pytest.fixture(scope="module")
def validation(data):
    return data.slice_frames(N_TRAINING, len(data))


class Interrupted(Exception):
    """Training was interrupted."""


def interrupt_after(epochs):
    count = itertools.count(1)

    def report(_):
        if next(count) == epochs:
            raise Interrupted

    return report


# Recipes with different state between epochs.
RECIPES = {
    "plain": {},
    "averaged weights and CutMix": {"ema_decay": 0.9, "cutmix_fraction": 0.5},
}


@pytest.mark.parametrize("case", RECIPES)
def test_resumed_training_equals_uninterrupted_training(
    data, validation, tmp_path, case
):
    recipe = TrainingRecipe(epochs=5, batch_frames=100, **RECIPES[case])
    job = FitJob(data.slice_frames(0, 300), validation, recipe)
    whole = fit_encoder(job, lambda _: None)
    interrupted = dataclasses.replace(job, state_path=tmp_path / "e.training_state")
    for epochs in (2, 1):
        with pytest.raises(Interrupted):
            fit_encoder(interrupted, interrupt_after(epochs))
    history = []
    resumed = fit_encoder(interrupted, history.append)
    assert [progress.epoch for progress in history] == [4, 5]
    assert resumed.history == whole.history
    for name, tensor in whole.encoder.state_dict().items():
        assert torch.equal(resumed.encoder.state_dict()[name], tensor), name
    assert [file.name for file in tmp_path.iterdir()] == ["e.training_state"]


@pytest.fixture
def started_job(data, validation, tmp_path):
    job = FitJob(
        training=data.slice_frames(0, 300),
        validation=validation,
        recipe=TrainingRecipe(epochs=2, batch_frames=300),
        state_path=tmp_path / "e.training_state",
    )
    with pytest.raises(Interrupted):
        fit_encoder(job, interrupt_after(1))
    return job


def test_a_state_of_another_job_is_refused(started_job, data):
    longer = dataclasses.replace(
        started_job, recipe=TrainingRecipe(epochs=3, batch_frames=300)
    )
    with pytest.raises(UserError, match="has epochs = 2, but now it is 3; resume with"):
        fit_encoder(longer, lambda _: None)
    other_frames = data.slice_frames(100, 400)
    other_behavior = dataclasses.replace(
        started_job.training, behavior=started_job.training.behavior + 1
    )
    for training in (other_frames, other_behavior):
        job = dataclasses.replace(started_job, training=training)
        with pytest.raises(UserError, match="has data = "):
            fit_encoder(job, lambda _: None)


def test_a_damaged_state_is_refused(started_job):
    whole = started_job.state_path.read_bytes()
    for damaged in (b"", whole[:1000], b"not at all"):
        started_job.state_path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"cannot be read; delete it"):
            fit_encoder(started_job, lambda _: None)


def test_averaged_weights_are_validated_and_saved(data, validation):
    """The average does not change training, only what is validated."""
    job = FitJob(
        data.slice_frames(0, N_TRAINING),
        validation,
        TrainingRecipe(3, 100, learning_rate=0.08),
    )
    averaged = dataclasses.replace(job.recipe, ema_decay=0.95)
    plain, averaged_history = (
        fit_encoder(dataclasses.replace(job, recipe=recipe), lambda _: None).history
        for recipe in (job.recipe, averaged)
    )
    assert [p.training_loss for p in plain] == [
        p.training_loss for p in averaged_history
    ]
    assert [p.validation_r for p in plain] != [p.validation_r for p in averaged_history]


@pytest.mark.parametrize("epochs", [1, 2, 3, 10])
def test_a_training_of_few_steps_ends(data, validation, epochs):
    """Its schedule has no tenth of the steps to rise in."""
    job = FitJob(data.slice_frames(0, 60), validation, TrainingRecipe(epochs, 60))
    progress = fit_encoder(job, lambda _: None).history
    assert np.isfinite([epoch.training_loss for epoch in progress]).all()


def test_a_constant_neuron_has_no_correlation():
    a = np.random.default_rng(0).normal(size=(50, 2))
    r = correlate_columns(a, np.stack([2 * a[:, 0] + 1, np.ones(50)], axis=1))
    assert r[0] == pytest.approx(1)
    assert np.isnan(r[1])


def test_a_loss_that_is_not_finite_stops_training_with_a_sentence(data, validation):
    few = data.slice_frames(0, 300)
    coef = few.coef.clone()
    coef[150] = torch.inf
    job = FitJob(
        dataclasses.replace(few, coef=coef), validation, TrainingRecipe(3, 100)
    )
    history = []
    words = r"the loss of batch \d in epoch 1 is nan; check the activity"
    with pytest.raises(UserError, match=words):
        fit_encoder(job, history.append)
    assert history == [], "training went on"


def test_weights_that_are_not_finite_stop_training_with_a_sentence(
    data, validation, monkeypatch
):
    step = torch.optim.Adam.step

    def break_weights(optimizer, *arguments, **keywords):
        step(optimizer, *arguments, **keywords)
        with torch.no_grad():
            optimizer.param_groups[0]["params"][-1].fill_(torch.nan)

    monkeypatch.setattr(torch.optim.Adam, "step", break_weights)
    job = FitJob(data.slice_frames(0, 100), validation, TrainingRecipe(2, 100))
    with pytest.raises(UserError, match="is not finite after epoch 1"):
        fit_encoder(job, lambda _: None)


def test_training_goes_on_from_given_weights(data, validation):
    recipe = TrainingRecipe(epochs=3, batch_frames=100)
    first = fit_encoder(FitJob(data, validation, recipe), lambda _: None)
    # So small a rate changes nothing: what comes out is what was given.
    still = dataclasses.replace(recipe, epochs=1, learning_rate=1e-12)
    job = FitJob(data, validation, still, initial=first.weights)
    again = fit_encoder(job, lambda _: None)
    assert torch.equal(again.weights.centers, first.weights.centers)
    for name, tensor in first.weights.tensors.items():
        # A step of Adam is the rate times about one, below the rounding of float32.
        torch.testing.assert_close(again.weights.tensors[name], tensor)
    last_r = first.history[-1].validation_r
    assert again.history[0].validation_r == pytest.approx(last_r, abs=1e-5)
