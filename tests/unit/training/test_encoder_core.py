"""A core holds patches of filters, which can be placed anywhere on the screen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import CompactEncoder
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from rtrecon.training.compact.core import extract_core, place_patches
from tests.support.fit_world import CENTERS, LOW, make_gabor_pair


@pytest.fixture(scope="module")
def core():
    """The core of an encoder of one Gabor pair at each of some centers."""
    model = CompactEncoder(LOW.n_coef, len(CENTERS))
    pairs = [make_gabor_pair(center, 0.7 * i) for i, center in enumerate(CENTERS)]
    filters = np.stack(pairs, axis=1).reshape(2 * len(CENTERS), -1)
    model.spatial_filters = torch.from_numpy(filters) @ LOW.vectors.T
    return extract_core(model)


def compute_center(filter_pixels):
    y, x = np.mgrid[: IMAGE_SHAPE[0], : IMAGE_SHAPE[1]]
    energy = filter_pixels.reshape(IMAGE_SHAPE).numpy() ** 2
    return np.array([(energy * y).sum(), (energy * x).sum()]) / energy.sum()


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


def test_an_encoder_of_two_equal_neurons_gives_a_small_core():
    model = CompactEncoder(LOW.n_coef, 2)
    pair = make_gabor_pair(np.array([12.0, 20.0]), 0.3)
    model.spatial_filters = torch.from_numpy(np.repeat(pair, 2, 0)) @ LOW.vectors.T
    core = extract_core(model)
    assert len(core.bank) == 2
    assert torch.isfinite(core.weight_sd).all()
