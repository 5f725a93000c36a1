"""The pixel encoder predicts the same as the compact encoder itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.offline.pixel_rates import (
    CompactPixelEncoder,
    standardize_behavior,
)
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.video import IMAGE_SHAPE
from tests.support import inversion_world as world
from tests.support.trained_encoder import make_untrained_checkpoint

BATCH, N_FRAMES = 3, 40  # more frames than the encoder's own blocks have
RELATIVE = 1e-4


@pytest.fixture(params=["known", "untrained"])
def checkpoint(request, tmp_path):
    if request.param == "known":
        return world.make_checkpoint()
    return make_untrained_checkpoint(
        tmp_path / "untrained.safetensors", list(range(7)), (8, 8)
    )


@pytest.fixture
def asked():
    """Return movies with their past, and behaviour."""
    generator = torch.Generator().manual_seed(3)
    shape = BATCH, MEMORY_FRAMES - 1 + N_FRAMES, *IMAGE_SHAPE
    video = 255 * torch.rand(shape, generator=generator)
    standardized = torch.randn(BATCH, N_FRAMES, len(BEHAVIOR), generator=generator)
    return video, world.MEAN + world.SD * standardized


def answered(checkpoint, video, behavior):
    """Return the encoder's own prediction for each movie, differentiable by pixels."""
    standardized = standardize_behavior(checkpoint.calibration, behavior)
    coef = ((video - 127) / 60).flatten(2) @ make_dct_basis().vectors.T
    model = checkpoint.encoder
    answers = [
        model.predict_from_filtered(model.apply_spatial_filters(movie), does)
        for movie, does in zip(coef, standardized, strict=True)
    ]
    return torch.stack(answers)


def assert_alike(made, expected):
    assert made.shape == expected.shape
    assert torch.isfinite(made).all()
    assert (made - expected).norm() <= RELATIVE * expected.norm()


def test_rates_equal_the_encoder(checkpoint, asked):
    rates = CompactPixelEncoder(checkpoint).predict_rates(*asked)
    assert rates.shape == (BATCH, N_FRAMES, len(checkpoint.card.rois))
    assert_alike(rates, answered(checkpoint, *asked))


def test_gradients_equal_autograd(checkpoint, asked):
    video, behavior = asked
    n = len(checkpoint.card.rois)
    weight = torch.randn(BATCH, N_FRAMES, n, generator=torch.Generator().manual_seed(4))
    gradients = []
    for rates in (
        CompactPixelEncoder(checkpoint).predict_rates,
        lambda *a: answered(checkpoint, *a),
    ):
        movie = video.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(
            (rates(movie, behavior) * weight).sum(), movie
        )
        gradients.append(gradient)
    assert_alike(*gradients)
    for movie in range(BATCH):  # each by itself: nothing leaks into the next
        assert_alike(gradients[0][movie], gradients[1][movie])
    assert_alike(
        gradients[0][:, : MEMORY_FRAMES - 1], gradients[1][:, : MEMORY_FRAMES - 1]
    )


def test_one_movie_needs_no_batch_dimension(asked):
    video, behavior = asked
    rates = CompactPixelEncoder(world.make_checkpoint())
    np.testing.assert_allclose(
        rates.predict_rates(video[1], behavior[1]),
        rates.predict_rates(video, behavior)[1],
        rtol=1e-5,
    )


def test_unknown_behavior_is_replaced_by_the_mean(asked):
    video, behavior = asked
    rates = CompactPixelEncoder(world.make_checkpoint())
    unknown = rates.predict_rates(video, torch.full_like(behavior, torch.nan))
    average = rates.predict_rates(video, world.MEAN.expand_as(behavior))
    assert torch.equal(unknown, average)
    beyond = world.MEAN + torch.tensor([4.0, 99.0, -99.0, -1.0]) * world.SD
    expected = [4.0, 4.0, -4.0, -1.0]
    assert (
        standardize_behavior(world.make_checkpoint().calibration, beyond).tolist()
        == expected
    )
    assert standardize_behavior(
        world.make_checkpoint().calibration, beyond[:2]
    ).tolist() == [4, 4, 0, 0]
