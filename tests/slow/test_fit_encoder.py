"""Fitting recovers receptive fields; with a known core it needs less data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from rtrecon.training.compact import trainable_encoder
from rtrecon.training.compact.core import extract_core, place_patches
from rtrecon.training.compact.core_initialization import init_from_core
from rtrecon.training.compact.fit import (
    READOUT_RECIPE,
    FitJob,
    TrainingRecipe,
    fit_encoder,
)
from rtrecon.training.score import (
    compute_correlation,
    estimate_dispersion,
    predict_activity,
)
from tests.support.fit_world import (
    CENTERS,
    KINDS,
    LOW,
    cache_gabor_pairs,
    make_fit_data,
)

N_TRAINING, N_VALIDATION = 2400, 600
RECIPE = TrainingRecipe(epochs=8, batch_frames=400)

NEAR_PX, NEAR_WITH_CORE_PX = 3.0, 4.0
TURN = 0.35  # rad between the filters of the known animal and of the new one


@pytest.fixture(scope="module", autouse=True)
def _gabor_pairs_are_made_once():
    with cache_gabor_pairs():
        yield


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


def test_progress_is_reported_after_every_epoch(fitted):
    history = fitted[1]
    assert [progress.epoch for progress in history] == list(range(1, RECIPE.epochs + 1))
    assert history[-1].training_loss < history[0].training_loss
    assert history[-1].validation_r > history[0].validation_r


def test_the_best_epoch_is_used_and_the_seed_determines_it(data, validation):
    few, recipe = (
        data.slice_frames(0, 300),
        TrainingRecipe(epochs=6, batch_frames=100, learning_rate=0.2),
    )
    history = []
    job = FitJob(few, validation, recipe)
    encoder, again = (fit_encoder(job, history.append).encoder for _ in range(2))
    r = [progress.validation_r for progress in history[: recipe.epochs]]
    assert max(r) > r[-1], "these data should make the fit overfit"
    assert compute_correlation(encoder, validation).mean() == pytest.approx(
        max(r), abs=1e-5
    )
    assert torch.equal(encoder.spatial_filters, again.spatial_filters)


def test_training_ends_when_patience_ends(data, validation):
    few = data.slice_frames(0, 300)
    recipe = TrainingRecipe(epochs=20, batch_frames=100, learning_rate=0.2, patience=2)
    history = fit_encoder(FitJob(few, validation, recipe), lambda _: None).history
    r = [progress.validation_r for progress in history]
    assert len(r) < 20
    assert int(np.argmax(r)) == len(r) - 1 - recipe.patience


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


# -- the core of this encoder, for new neurons --------------------------------------


@pytest.fixture(scope="module")
def core(fitted):
    """The core of the encoder of a first animal, trained on much data."""
    return extract_core(fitted[0])


def test_the_bank_spans_the_filters_of_its_encoder(core):
    pairs = core.example_filters.flatten(0, 1).flatten(1)
    bank = core.bank.flatten(1)
    torch.testing.assert_close(bank @ bank.T, torch.eye(len(bank)), atol=1e-4, rtol=0)
    spanned = (pairs @ bank.T @ bank).square().sum(1) / pairs.square().sum(1)
    assert spanned.min() > 0.99
    assert (core.weight_sd.diff() <= 0).all()


def test_receptive_fields_of_another_animal_are_found(core):
    data = make_fit_data(600, seed=5, turn=TURN)
    found = init_from_core(core, data.coef, data.activity)
    expected = np.tile(CENTERS, (len(KINDS), 1))
    apart_px = np.hypot(*(found.center - expected).T)
    assert np.median(apart_px) < NEAR_WITH_CORE_PX


def test_a_core_improves_the_fit_to_little_data(core):
    """Half a minute of movie, with and without the core."""
    data = make_fit_data(1200, seed=7, turn=TURN)
    few, validation = data.slice_frames(0, 700), data.slice_frames(700, 1200)
    r = {}
    for name, known in (("nothing", None), ("core", core)):
        model = fit_encoder(
            FitJob(few, validation, READOUT_RECIPE, known), lambda _: None
        ).encoder
        r[name] = compute_correlation(model, validation).mean()
    assert r["core"] > r["nothing"] + 0.03


def test_filters_of_new_neurons_stay_mixtures_of_the_bank(core, monkeypatch):
    matches = []

    def remember(*arguments):
        matches.append(init_from_core(*arguments))
        return matches[-1]

    monkeypatch.setattr(trainable_encoder, "init_from_core", remember)
    data = make_fit_data(200, seed=8, turn=TURN)
    few = data.slice_frames(0, 120)
    job = FitJob(few, data.slice_frames(120, 200), TrainingRecipe(2, 100), core)
    filters = fit_encoder(job, lambda _: None).encoder.spatial_filters.unflatten(
        0, (2, -1)
    )
    for i, center in enumerate(matches[0].center):
        bank = (place_patches(core.bank, center) @ LOW.vectors.T).T
        weights = torch.linalg.lstsq(bank, filters[:, i].T).solution
        left_over = filters[:, i].T - bank @ weights
        assert left_over.norm() < 1e-3 * filters[:, i].norm()
