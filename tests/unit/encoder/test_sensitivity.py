"""Where an encoder looks: neurons whose receptive fields are known."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.sensitivity import (
    WeightedEncoder,
    estimate_sensitivity,
    find_visual_field,
    get_mean_frame,
    measure_sensitivity,
)
from tests.support.inversion_world import make_checkpoint

N = 40
ROW, COLUMN = np.indices((36, 64))


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return make_checkpoint(N)


def look_at(checkpoint: Checkpoint, y: float, x: float) -> Checkpoint:
    """Give all neurons the same receptive field: a Gaussian of 4 px at (y, x)."""
    blob = np.exp(-((ROW - y) ** 2 + (COLUMN - x) ** 2) / (2 * 4.0**2))
    filters = make_dct_basis().vectors @ torch.from_numpy(blob).float().ravel()
    encoder = copy.deepcopy(checkpoint.require_compact())
    encoder.spatial_filters.copy_(filters.expand_as(encoder.spatial_filters))
    return replace(checkpoint, encoder=encoder)


def test_the_visual_field_surrounds_the_receptive_fields(checkpoint):
    checkpoint = look_at(checkpoint, 12, 40)
    sensitivity = measure_sensitivity(checkpoint)
    assert sensitivity.shape == (36, 64)
    row, column = np.unravel_index(sensitivity.argmax(), sensitivity.shape)
    assert abs(row - 12) <= 1
    assert abs(column - 40) <= 1
    visual_field = find_visual_field(checkpoint)
    distance = np.hypot(ROW - 12, COLUMN - 40)
    # A Gaussian of 4 px falls to a tenth at 8.6 px.
    assert visual_field[distance < 7].all()
    assert not visual_field[distance > 11].any()


def test_a_checkpoint_always_has_the_same_visual_field(checkpoint):
    torch.manual_seed(1)
    one = measure_sensitivity(checkpoint)
    torch.manual_seed(2)
    np.testing.assert_array_equal(measure_sensitivity(checkpoint), one)


def test_neurons_that_respond_less_reliably_count_less(checkpoint):
    noisy = replace(checkpoint.calibration, dispersion=torch.full((N,), 4.0))
    clean = replace(checkpoint.calibration, dispersion=torch.ones(N))
    halved = measure_sensitivity(replace(checkpoint, calibration=noisy))
    whole = measure_sensitivity(replace(checkpoint, calibration=clean))
    np.testing.assert_allclose(halved, whole / 2, rtol=1e-4)


def test_the_mean_frame_is_that_of_the_training_movies(checkpoint):
    movie = np.random.default_rng(0).uniform(90, 150, (20, 36, 64))
    mean = make_dct_basis().from_pixels(movie).mean(0)
    prior = replace(checkpoint.prior, mean=mean)
    frame = get_mean_frame(replace(checkpoint, prior=prior))
    low = make_dct_basis().to_pixels(make_dct_basis().from_pixels(movie.mean(0)[None]))
    np.testing.assert_allclose(frame, low[0], atol=1e-2)


def test_a_neuron_without_weight_does_not_look_anywhere(checkpoint):
    here, there = (look_at(checkpoint, 12, x) for x in (16, 48))
    encoder = copy.deepcopy(here.require_compact())
    is_used = torch.arange(N) < N // 2
    unused_filters = ~is_used.repeat(2)
    others = there.require_compact().spatial_filters[unused_filters]
    encoder.spatial_filters[unused_filters] = others
    encoder.pool_weights.zero_()  # else neurons look where their neighbors do
    weighted = WeightedEncoder(
        encoder, checkpoint.prior, is_used.float(), checkpoint.space
    )
    sensitivity = estimate_sensitivity(weighted)
    assert sensitivity[:, 40:].max() < 0.01 * sensitivity[:, :32].max()
    everyone = estimate_sensitivity(replace(weighted, weight=torch.ones(N)))
    assert everyone[:, 40:].max() > 0.5 * everyone[:, :32].max()
