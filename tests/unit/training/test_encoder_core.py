"""With the core of a known encoder, new neurons need less data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.dct_basis import IMAGE_SHAPE
from rtrecon.training.compact.core import extract_core, place_patches
from rtrecon.training.compact.core_initialization import init_from_core
from rtrecon.training.compact.fit import (
    READOUT_RECIPE,
    FitJob,
    TrainingRecipe,
    fit_encoder,
)
from rtrecon.training.score import compute_correlation
from tests.support.fit_world import CENTERS, KINDS, LOW, make_fit_data, make_gabor_pair

NEAR_PX = 4.0
TURN = 0.35  # rad between the filters of the known animal and of the new one


@pytest.fixture(scope="module")
def known():
    """The encoder of a first animal, trained on much data."""
    torch.set_num_threads(1)
    data = make_fit_data(3000, seed=0)
    recipe = TrainingRecipe(epochs=8, batch_frames=400)
    job = FitJob(data.slice_frames(0, 2400), data.slice_frames(2400, 3000), recipe)
    return fit_encoder(job, lambda _: None).encoder


@pytest.fixture(scope="module")
def core(known):
    return extract_core(known)


def compute_center(filter_pixels):
    y, x = np.mgrid[: IMAGE_SHAPE[0], : IMAGE_SHAPE[1]]
    energy = filter_pixels.reshape(IMAGE_SHAPE).numpy() ** 2
    return np.array([(energy * y).sum(), (energy * x).sum()]) / energy.sum()


def test_the_bank_spans_the_filters_of_its_encoder(core):
    pairs = core.example_filters.flatten(0, 1).flatten(1)
    bank = core.bank.flatten(1)
    torch.testing.assert_close(bank @ bank.T, torch.eye(len(bank)), atol=1e-4, rtol=0)
    spanned = (pairs @ bank.T @ bank).square().sum(1) / pairs.square().sum(1)
    assert spanned.min() > 0.99
    assert (core.weight_sd.diff() <= 0).all()


@pytest.mark.parametrize("center", [(18.0, 30.0), (5.0, 8.0), (30.0, 60.0)])
def test_patches_are_placed_at_their_center(core, center):
    spot = torch.zeros(1, *core.bank.shape[1:])
    half = core.bank.shape[1] // 2
    spot[0, half, half] = 1
    assert compute_center(place_patches(spot, np.array(center))) == pytest.approx(
        center
    )


def test_patches_are_cut_at_the_edges_of_the_screen(core):
    whole = torch.ones(1, *core.bank.shape[1:])
    shown = place_patches(whole, np.array([0.0, 63.0])).reshape(IMAGE_SHAPE)
    side = core.bank.shape[1] // 2 + 1
    assert shown.sum() == side * side
    assert shown[:side, -side:].all()


def test_receptive_fields_of_another_animal_are_found(core):
    data = make_fit_data(600, seed=5, turn=TURN)
    found = init_from_core(core, data.coef, data.activity)
    expected = np.tile(CENTERS, (len(KINDS), 1))
    apart_px = np.hypot(*(found.center - expected).T)
    assert np.median(apart_px) < NEAR_PX


def test_an_encoder_of_two_equal_neurons_gives_a_small_core():
    model = CompactEncoder(LOW.n_coef, 2)
    pair = make_gabor_pair(np.array([12.0, 20.0]), 0.3)
    model.spatial_filters = torch.from_numpy(np.repeat(pair, 2, 0)) @ LOW.vectors.T
    core = extract_core(model)
    assert len(core.bank) == 2
    assert torch.isfinite(core.weight_sd).all()


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


def test_filters_of_new_neurons_stay_mixtures_of_the_bank(core):
    data = make_fit_data(200, seed=8, turn=TURN)
    few = data.slice_frames(0, 120)
    job = FitJob(few, data.slice_frames(120, 200), TrainingRecipe(2, 100), core)
    filters = fit_encoder(job, lambda _: None).encoder.spatial_filters.unflatten(
        0, (2, -1)
    )
    for i, center in enumerate(init_from_core(core, few.coef, few.activity).center):
        bank = (place_patches(core.bank, center) @ LOW.vectors.T).T
        weights = torch.linalg.lstsq(bank, filters[:, i].T).solution
        left_over = filters[:, i].T - bank @ weights
        assert left_over.norm() < 1e-3 * filters[:, i].norm()
