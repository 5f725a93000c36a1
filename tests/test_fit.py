"""Fitting neurons of a known kind: where they look is found, what they do predicted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import MEMORY
from rtrecon.encoder.fit import (
    Data,
    Recipe,
    correlation,
    dispersion,
    pearson,
    predict,
    train,
)
from rtrecon.encoder.spectrum import SHAPE, spectrum

LOW = spectrum()
N_TRAINING, N_VALIDATION = 2400, 600
RECIPE = Recipe(epochs=8, batch_frames=400)

# kind -> r with clips not trained on that a fit has to reach; about 0.1 is chance
KINDS = {"simple": 0.7, "energy": 0.45, "direction": 0.4}
# where each kind's neurons look, y and x in px
CENTERS = np.array([[10.0, 15.0], [22.0, 48.0], [16.0, 31.0], [27.0, 12.0]])
NEAR_PX = 3.0


def some_movie(n_frames, seed):
    """Coefficients (n_frames, C) that change slowly and are coarse rather than fine."""
    rng = np.random.default_rng(seed)
    spread = (1 / (0.03 + LOW.cycles.numpy())).clip(max=15) / 4
    coef = np.empty((n_frames, LOW.n_coef), np.float32)
    state = np.zeros(LOW.n_coef)
    for t in range(n_frames):
        state = 0.85 * state + 0.53 * rng.normal(size=LOW.n_coef)
        coef[t] = spread * state
    return torch.from_numpy(coef)


def gabor_pair(center, angle):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] - center[:, None, None]
    wave = 2j * np.pi * 0.09 * (x * np.cos(angle) + y * np.sin(angle))
    pair = np.exp(wave - (x**2 + y**2) / (2 * 3.0**2)).reshape(1, -1)
    return np.concatenate([pair.real, pair.imag]).astype(np.float32)


def drive(kind, pair):
    """What a neuron of that kind makes of its pair of filters' outputs (2, T)."""
    now, before = pair[:, 4:], pair[:, :-4]
    match kind:
        case "simple":
            return np.maximum(now[0], 0)
        case "energy":
            return np.hypot(*now)
        case _:
            return np.hypot(now[0] + before[1], now[1] - before[0])


def world(n_frames, seed):
    """Data in which neurons of each kind look at each of the centres, with noise."""
    rng = np.random.default_rng(seed)
    coef = some_movie(n_frames, seed)
    activity = np.zeros((n_frames, len(KINDS) * len(CENTERS)), np.float32)
    neurons = [(kind, center) for kind in KINDS for center in CENTERS]
    for i, (kind, center) in enumerate(neurons):
        pair = gabor_pair(center, angle=0.7 * i) @ (coef @ LOW.basis).numpy().T
        driven = drive(kind, pair)
        # The newest frame that counts was shown one frame before.
        activity[5:, i] = (driven / driven.mean())[:-1] ** 1.5
    activity *= rng.gamma(8, 1 / 8, activity.shape)
    behavior = torch.zeros(n_frames, 2)
    return Data(coef, behavior, torch.from_numpy(activity.astype(np.float32)))


@pytest.fixture(scope="module")
def data():
    return world(N_TRAINING + N_VALIDATION, seed=0)


@pytest.fixture(scope="module")
def validation(data):
    return data.part(N_TRAINING, len(data))


@pytest.fixture(scope="module")
def fitted(data, validation):
    """The encoder and what was reported on the way."""
    told = []
    torch.set_num_threads(1)
    training = data.part(0, N_TRAINING)
    return train(LOW, training, validation, RECIPE, told.append), told


def test_it_predicts_clips_that_it_was_not_trained_on(fitted, validation):
    r = correlation(fitted[0], validation).reshape(len(KINDS), -1)
    for (kind, least), found in zip(KINDS.items(), r, strict=True):
        assert found.mean() > least, f"{kind}: {found}"


def test_it_predicts_nothing_at_another_time(fitted, validation):
    later = dataclasses.replace(
        validation, activity=validation.activity.roll(200, dims=0)
    )
    assert abs(correlation(fitted[0], later).mean()) < 0.1


def test_receptive_fields_are_found(fitted):
    filters = (fitted[0].filters @ LOW.basis).reshape(2, -1, *SHAPE).numpy()
    energy = (filters**2).sum(0)
    energy /= energy.sum((1, 2), keepdims=True)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    found = np.stack([(energy * y).sum((1, 2)), (energy * x).sum((1, 2))], axis=1)
    apart_px = np.hypot(*(found - np.tile(CENTERS, (len(KINDS), 1))).T)
    assert apart_px.max() < NEAR_PX


def test_progress_is_told_after_every_epoch(fitted):
    told = fitted[1]
    assert [progress.epoch for progress in told] == list(range(1, RECIPE.epochs + 1))
    assert told[-1].misfit < told[0].misfit
    assert told[-1].validation_r > told[0].validation_r


def test_the_best_epoch_is_kept_and_the_seed_decides(data, validation):
    few, hasty = data.part(0, 300), Recipe(epochs=6, batch_frames=100, rate=0.2)
    told = []
    kept, again = (train(LOW, few, validation, hasty, told.append) for _ in range(2))
    r = [progress.validation_r for progress in told[: hasty.epochs]]
    assert max(r) > r[-1], "this world was meant to overfit"
    assert correlation(kept, validation).mean() == pytest.approx(max(r), abs=1e-5)
    assert torch.equal(kept.filters, again.filters)


def test_dispersion_is_variance_per_mean_around_the_prediction(fitted, validation):
    expected = predict(fitted[0], validation)
    size = np.linspace(0.2, 2.0, expected.shape[1])  # of what is counted
    counts = np.random.default_rng(0).poisson(expected / size) * size
    activity = torch.zeros(len(validation), expected.shape[1])
    activity[MEMORY - 1 :] = torch.from_numpy(counts)
    counted = dataclasses.replace(validation, activity=activity)
    np.testing.assert_allclose(dispersion(fitted[0], counted), size, rtol=0.25)


def test_a_constant_neuron_has_no_correlation():
    a = np.random.default_rng(0).normal(size=(50, 2))
    r = pearson(a, np.stack([2 * a[:, 0] + 1, np.ones(50)], axis=1))
    assert r[0] == pytest.approx(1)
    assert np.isnan(r[1])
