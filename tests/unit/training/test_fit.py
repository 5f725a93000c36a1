"""Fitting recovers receptive fields and activity of simulated neurons."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.dct_basis import IMAGE_SHAPE
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.training.compact.fit import FitJob, TrainingRecipe, fit_encoder
from rtrecon.training.score import (
    compute_correlation,
    correlate_columns,
    estimate_dispersion,
    predict_activity,
)
from tests.support.fit_world import (
    CENTERS,
    KINDS,
    LOW,
    make_fit_data,
)

N_TRAINING, N_VALIDATION = 2400, 600
RECIPE = TrainingRecipe(epochs=8, batch_frames=400)

NEAR_PX = 3.0


@pytest.fixture(scope="module")
def data():
    return make_fit_data(N_TRAINING + N_VALIDATION, seed=0)


@pytest.fixture(scope="module")
def validation(data):
    return data.slice_frames(N_TRAINING, len(data))


@pytest.fixture(scope="module")
def fitted(data, validation):
    """The fitted encoder and its epochs."""
    history = []
    torch.set_num_threads(1)
    training = data.slice_frames(0, N_TRAINING)
    return fit_encoder(
        FitJob(training, validation, RECIPE), history.append
    ).encoder, history


def test_the_encoder_predicts_clips_that_training_did_not_see(fitted, validation):
    r = compute_correlation(fitted[0], validation).reshape(len(KINDS), -1)
    for (kind, least), found in zip(KINDS.items(), r, strict=True):
        assert found.mean() > least, f"{kind}: {found}"


def test_predictions_do_not_correlate_with_shifted_activity(fitted, validation):
    later = dataclasses.replace(
        validation, activity=validation.activity.roll(200, dims=0)
    )
    assert abs(compute_correlation(fitted[0], later).mean()) < 0.1


def test_fitting_recovers_the_receptive_fields(fitted):
    filters = (
        (fitted[0].spatial_filters @ LOW.vectors).reshape(2, -1, *IMAGE_SHAPE).numpy()
    )
    energy = (filters**2).sum(0)
    energy /= energy.sum((1, 2), keepdims=True)
    y, x = np.mgrid[: IMAGE_SHAPE[0], : IMAGE_SHAPE[1]]
    found = np.stack([(energy * y).sum((1, 2)), (energy * x).sum((1, 2))], axis=1)
    apart_px = np.hypot(*(found - np.tile(CENTERS, (len(KINDS), 1))).T)
    assert apart_px.max() < NEAR_PX


def test_progress_is_told_after_every_epoch(fitted):
    history = fitted[1]
    assert [progress.epoch for progress in history] == list(range(1, RECIPE.epochs + 1))
    assert history[-1].training_loss < history[0].training_loss
    assert history[-1].validation_r > history[0].validation_r


def test_the_best_epoch_is_kept_and_the_seed_determines_it(data, validation):
    few, hasty = (
        data.slice_frames(0, 300),
        TrainingRecipe(epochs=6, batch_frames=100, learning_rate=0.2),
    )
    history = []
    job = FitJob(few, validation, hasty)
    kept, again = (fit_encoder(job, history.append).encoder for _ in range(2))
    r = [progress.validation_r for progress in history[: hasty.epochs]]
    assert max(r) > r[-1], "this world was meant to overfit"
    assert compute_correlation(kept, validation).mean() == pytest.approx(
        max(r), abs=1e-5
    )
    assert torch.equal(kept.spatial_filters, again.spatial_filters)


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
    recipe = TrainingRecipe(epochs=5, batch_frames=300, **RECIPES[case])
    job = FitJob(data.slice_frames(0, 900), validation, recipe)
    whole = fit_encoder(job, lambda _: None)
    kept = dataclasses.replace(job, state_path=tmp_path / "e.training_state")
    for epochs in (2, 1):
        with pytest.raises(Interrupted):
            fit_encoder(kept, interrupt_after(epochs))
    history = []
    resumed = fit_encoder(kept, history.append)
    assert [progress.epoch for progress in history] == [4, 5]
    assert resumed.history == whole.history
    for name, tensor in whole.encoder.state_dict().items():
        assert torch.equal(resumed.encoder.state_dict()[name], tensor), name
    assert [file.name for file in tmp_path.iterdir()] == ["e.training_state"]


@pytest.fixture
def begun(data, validation, tmp_path):
    job = FitJob(
        training=data.slice_frames(0, 300),
        validation=validation,
        recipe=TrainingRecipe(epochs=2, batch_frames=300),
        state_path=tmp_path / "e.training_state",
    )
    with pytest.raises(Interrupted):
        fit_encoder(job, interrupt_after(1))
    return job


def test_a_state_of_another_job_is_refused(begun, data):
    longer = dataclasses.replace(
        begun, recipe=TrainingRecipe(epochs=3, batch_frames=300)
    )
    with pytest.raises(UserError, match="has epochs = 2, but now it is 3; resume with"):
        fit_encoder(longer, lambda _: None)
    other = dataclasses.replace(begun, training=data.slice_frames(300, 600))
    awake = dataclasses.replace(begun.training, behavior=begun.training.behavior + 1)
    other_behavior = dataclasses.replace(begun, training=awake)
    for job in (other, other_behavior):
        with pytest.raises(UserError, match="has data = "):
            fit_encoder(job, lambda _: None)


def test_a_damaged_state_is_refused(begun):
    whole = begun.state_path.read_bytes()
    for damaged in (b"", whole[:1000], b"not at all"):
        begun.state_path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"cannot be read; delete it"):
            fit_encoder(begun, lambda _: None)


def test_training_ends_when_patience_ends(data, validation):
    few = data.slice_frames(0, 300)
    recipe = TrainingRecipe(epochs=20, batch_frames=100, learning_rate=0.2, patience=2)
    history = fit_encoder(FitJob(few, validation, recipe), lambda _: None).history
    r = [progress.validation_r for progress in history]
    assert len(r) < 20
    assert int(np.argmax(r)) == len(r) - 1 - recipe.patience


def test_averaged_weights_are_validated_and_saved(data, validation):
    """The average does not change training, only what is validated."""
    job = FitJob(
        data.slice_frames(0, 1200),
        validation,
        TrainingRecipe(6, 200, learning_rate=0.08),
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


def test_lost_activity_of_one_neuron_does_not_affect_the_others(data, validation):
    """A neuron with lost activity is fitted to the rest of it."""
    few = data.slice_frames(0, 1200)
    lost = few.activity.clone()
    lost[:600, 0] = torch.nan
    job = FitJob(dataclasses.replace(few, activity=lost), validation, RECIPE)
    r = compute_correlation(fit_encoder(job, lambda _: None).encoder, validation)
    whole = compute_correlation(
        fit_encoder(dataclasses.replace(job, training=few), lambda _: None).encoder,
        validation,
    )
    assert np.isfinite(r).all()
    assert r[0] > 0.5
    assert np.abs(r[1:] - whole[1:]).mean() < 0.1


def test_gains_are_those_by_which_behavior_multiplies(data, validation):
    """Every behavior value multiplies all neurons by its own gain."""
    gain = torch.tensor([0.3, -0.2, 0.25, -0.3])
    assert len(gain) == len(BEHAVIOR)

    def behaving(part):
        generator = torch.Generator().manual_seed(0)
        behavior = torch.randn(len(part), len(BEHAVIOR), generator=generator)
        activity = part.activity * (behavior @ gain).exp()[:, None]
        return dataclasses.replace(part, behavior=behavior, activity=activity)

    recipe = TrainingRecipe(epochs=10, batch_frames=100)
    job = FitJob(behaving(data.slice_frames(0, 1200)), behaving(validation), recipe)
    found = fit_encoder(job, lambda _: None).encoder.behavior_gain
    np.testing.assert_allclose(found.mean(1), gain, atol=0.07)


def test_dispersion_is_the_variance_per_mean_around_the_prediction(fitted, validation):
    expected = predict_activity(fitted[0], validation)
    size = np.linspace(0.2, 2.0, expected.shape[1])  # of one count
    counts = np.random.default_rng(0).poisson(expected / size) * size
    activity = torch.zeros(len(validation), expected.shape[1])
    activity[MEMORY_FRAMES - 1 :] = torch.from_numpy(counts)
    counted = dataclasses.replace(validation, activity=activity)
    np.testing.assert_allclose(estimate_dispersion(fitted[0], counted), size, rtol=0.25)


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
