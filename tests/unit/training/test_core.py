"""A known core: new neurons are found by it, and fitted to less."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import Compact
from rtrecon.encoder.spectrum import SHAPE
from rtrecon.training.compact.core import core_of, laid
from rtrecon.training.compact.core_initialization import match
from rtrecon.training.compact.fit import READOUTS, Job, Recipe, train
from rtrecon.training.score import correlation
from tests.support.fit_world import CENTERS, KINDS, LOW, gabor_pair, world

NEAR_PX = 4.0
TURN = 0.35  # rad between the filters of the known animal and of the new one


@pytest.fixture(scope="module")
def known():
    """The encoder of a first animal, trained on plenty."""
    torch.set_num_threads(1)
    data = world(3000, seed=0)
    recipe = Recipe(epochs=8, batch_frames=400)
    job = Job(data.part(0, 2400), data.part(2400, 3000), recipe)
    return train(job, lambda _: None).model


@pytest.fixture(scope="module")
def core(known):
    return core_of(known)


def middle(picture):
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    energy = picture.reshape(SHAPE).numpy() ** 2
    return np.array([(energy * y).sum(), (energy * x).sum()]) / energy.sum()


def test_the_bank_spans_the_filters_that_it_was_made_of(core):
    pairs = core.pairs.flatten(0, 1).flatten(1)
    bank = core.bank.flatten(1)
    torch.testing.assert_close(bank @ bank.T, torch.eye(len(bank)), atol=1e-4, rtol=0)
    spanned = (pairs @ bank.T @ bank).square().sum(1) / pairs.square().sum(1)
    assert spanned.min() > 0.99
    assert (core.usual.diff() <= 0).all()


@pytest.mark.parametrize("center", [(18.0, 30.0), (5.0, 8.0), (30.0, 60.0)])
def test_examples_are_laid_where_they_are_asked_for(core, center):
    spot = torch.zeros(1, *core.bank.shape[1:])
    half = core.bank.shape[1] // 2
    spot[0, half, half] = 1
    assert middle(laid(spot, np.array(center))) == pytest.approx(center)


def test_what_lies_beyond_the_screen_is_cut(core):
    whole = torch.ones(1, *core.bank.shape[1:])
    shown = laid(whole, np.array([0.0, 63.0])).reshape(SHAPE)
    side = core.bank.shape[1] // 2 + 1
    assert shown.sum() == side * side
    assert shown[:side, -side:].all()


def test_neurons_of_another_animal_are_found(core):
    data = world(900, seed=5, turn=TURN)
    found = match(core, data.coef, data.activity)
    expected = np.tile(CENTERS, (len(KINDS), 1))
    apart_px = np.hypot(*(found.center - expected).T)
    assert np.median(apart_px) < NEAR_PX


def test_a_core_of_less_than_a_picture_is_enough():
    model = Compact(LOW.n_coef, 2)
    pair = gabor_pair(np.array([12.0, 20.0]), 0.3)
    model.filters = torch.from_numpy(np.repeat(pair, 2, 0)) @ LOW.basis.T
    core = core_of(model)
    assert len(core.bank) == 2
    assert torch.isfinite(core.usual).all()


def test_new_neurons_need_less_with_a_core(core):
    """Half a minute of movie: a fit from nothing learns less of it."""
    data = world(1500, seed=7, turn=TURN)
    few, validation = data.part(0, 900), data.part(900, 1500)
    told = {}
    for name, known in (("nothing", None), ("core", core)):
        model = train(Job(few, validation, READOUTS, known), lambda _: None).model
        told[name] = correlation(model, validation).mean()
    assert told["core"] > told["nothing"] + 0.03


def test_a_cores_bank_is_not_trained(core):
    """Whatever the new neurons are fitted to, their filters are mixtures of it."""
    data = world(500, seed=8, turn=TURN)
    few = data.part(0, 300)
    job = Job(few, data.part(300, 500), Recipe(2, 100), core)
    filters = train(job, lambda _: None).model.filters.unflatten(0, (2, -1))
    for i, center in enumerate(match(core, few.coef, few.activity).center):
        bank = (laid(core.bank, center) @ LOW.basis.T).T
        weights = torch.linalg.lstsq(bank, filters[:, i].T).solution
        left_over = filters[:, i].T - bank @ weights
        assert left_over.norm() < 1e-3 * filters[:, i].norm()
