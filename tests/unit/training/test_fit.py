"""Fitting neurons of a known kind: where they look is found, what they do predicted."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder.compact import MEMORY
from rtrecon.encoder.spectrum import SHAPE
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.training.compact.fit import Job, Recipe, train
from rtrecon.training.score import correlation, dispersion, pearson, predict
from tests.support.fit_world import (
    CENTERS,
    KINDS,
    LOW,
    world,
)

N_TRAINING, N_VALIDATION = 2400, 600
RECIPE = Recipe(epochs=8, batch_frames=400)

NEAR_PX = 3.0


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
    return train(Job(training, validation, RECIPE), told.append).model, told


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
    job = Job(few, validation, hasty)
    kept, again = (train(job, told.append).model for _ in range(2))
    r = [progress.validation_r for progress in told[: hasty.epochs]]
    assert max(r) > r[-1], "this world was meant to overfit"
    assert correlation(kept, validation).mean() == pytest.approx(max(r), abs=1e-5)
    assert torch.equal(kept.filters, again.filters)


class Stopped(Exception):
    """Somebody pulled the plug."""


def stopped_after(epochs):
    count = itertools.count(1)

    def report(_):
        if next(count) == epochs:
            raise Stopped

    return report


# Recipes that keep more than weights from epoch to epoch.
RESUMED = {
    "plain": {},
    "averaged and mixed": {"average": 0.9, "cutmix": 0.5},
}


@pytest.mark.parametrize("case", RESUMED)
def test_training_goes_on_as_if_it_had_never_stopped(data, validation, tmp_path, case):
    recipe = Recipe(epochs=5, batch_frames=300, **RESUMED[case])
    job = Job(data.part(0, 900), validation, recipe)
    whole = train(job, lambda _: None)
    kept = dataclasses.replace(job, state=tmp_path / "e.unfinished")
    for epochs in (2, 1):
        with pytest.raises(Stopped):
            train(kept, stopped_after(epochs))
    told = []
    resumed = train(kept, told.append)
    assert [progress.epoch for progress in told] == [4, 5]
    assert resumed.history == whole.history
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], tensor), name
    assert [file.name for file in tmp_path.iterdir()] == ["e.unfinished"]


@pytest.fixture
def begun(data, validation, tmp_path):
    job = Job(
        training=data.part(0, 300),
        validation=validation,
        recipe=Recipe(epochs=2, batch_frames=300),
        state=tmp_path / "e.unfinished",
    )
    with pytest.raises(Stopped):
        train(job, stopped_after(1))
    return job


def test_other_work_does_not_go_on_from_it(begun, data):
    longer = dataclasses.replace(begun, recipe=Recipe(epochs=3, batch_frames=300))
    with pytest.raises(UserError, match="has epochs = 2, but now it is 3; go on as"):
        train(longer, lambda _: None)
    other = dataclasses.replace(begun, training=data.part(300, 600))
    awake = dataclasses.replace(begun.training, behavior=begun.training.behavior + 1)
    told_more = dataclasses.replace(begun, training=awake)
    for job in (other, told_more):
        with pytest.raises(UserError, match="has data = "):
            train(job, lambda _: None)


def test_a_damaged_state_is_refused_with_a_sentence(begun):
    whole = begun.state.read_bytes()
    for damaged in (b"", whole[:1000], b"not at all"):
        begun.state.write_bytes(damaged)
        with pytest.raises(UserError, match=r"cannot be read; delete it"):
            train(begun, lambda _: None)


def test_training_ends_when_nothing_gets_better(data, validation):
    few = data.part(0, 300)
    recipe = Recipe(epochs=20, batch_frames=100, rate=0.2, patience=2)
    history = train(Job(few, validation, recipe), lambda _: None).history
    r = [progress.validation_r for progress in history]
    assert len(r) < 20
    assert int(np.argmax(r)) == len(r) - 1 - recipe.patience


def test_averaged_weights_are_what_is_kept(data, validation):
    """Of a rate far too high the average makes steadier steps than the weights do."""
    job = Job(data.part(0, 1200), validation, Recipe(6, 200, rate=0.08))
    averaged = dataclasses.replace(job.recipe, average=0.95)
    plain, steady = (
        train(dataclasses.replace(job, recipe=recipe), lambda _: None).history
        for recipe in (job.recipe, averaged)
    )
    assert [p.misfit for p in plain] == [p.misfit for p in steady]
    assert [p.validation_r for p in plain] != [p.validation_r for p in steady]


def test_lost_activity_changes_nothing_but_what_was_lost(data, validation):
    """A neuron of which much is lost is fitted to the rest; the others do not care."""
    few = data.part(0, 1200)
    lost = few.activity.clone()
    lost[:600, 0] = torch.nan
    job = Job(dataclasses.replace(few, activity=lost), validation, RECIPE)
    r = correlation(train(job, lambda _: None).model, validation)
    whole = correlation(
        train(dataclasses.replace(job, training=few), lambda _: None).model, validation
    )
    assert np.isfinite(r).all()
    assert r[0] > 0.5
    assert np.abs(r[1:] - whole[1:]).mean() < 0.1


def test_gains_are_those_by_which_behaviour_multiplies(data, validation):
    """All neurons by the same: each input has a gain of its own, the centre's too."""
    gain = torch.tensor([0.3, -0.2, 0.25, -0.3])
    assert len(gain) == len(BEHAVIOR)

    def behaving(part):
        generator = torch.Generator().manual_seed(0)
        behavior = torch.randn(len(part), len(BEHAVIOR), generator=generator)
        activity = part.activity * (behavior @ gain).exp()[:, None]
        return dataclasses.replace(part, behavior=behavior, activity=activity)

    recipe = Recipe(epochs=10, batch_frames=100)
    job = Job(behaving(data.part(0, 1200)), behaving(validation), recipe)
    found = train(job, lambda _: None).model.gain
    np.testing.assert_allclose(found.mean(1), gain, atol=0.07)


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
