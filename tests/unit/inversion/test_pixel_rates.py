"""The compact encoder as the offline methods ask it, against the encoder itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import MEMORY
from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.inversion.offline.pixel_rates import CompactRates, scaled
from rtrecon.protocol.behavior import BEHAVIOR
from tests.support import inversion_world as world
from tests.support.trained_encoder import untrained

BATCH, N_FRAMES = 3, 40  # more frames than the encoder's own blocks have
RELATIVE = 1e-4


@pytest.fixture(params=["known", "untrained"])
def checkpoint(request, tmp_path):
    if request.param == "known":
        return world.checkpoint()
    return untrained(tmp_path / "untrained.safetensors", list(range(7)), (8, 8))


@pytest.fixture
def asked():
    """Movies with their past, and what the mouse did."""
    generator = torch.Generator().manual_seed(3)
    shape = BATCH, MEMORY - 1 + N_FRAMES, *SHAPE
    video = 255 * torch.rand(shape, generator=generator)
    told = torch.randn(BATCH, N_FRAMES, len(BEHAVIOR), generator=generator)
    return video, world.MEAN + world.SD * told


def answered(checkpoint, video, behavior):
    """What the encoder itself says to each movie, differentiable by pixels."""
    told = scaled(checkpoint.calibration, behavior)
    coef = ((video - 127) / 60).flatten(2) @ spectrum().basis.T
    model = checkpoint.model
    answers = [
        model.answer(model.look(movie), does)
        for movie, does in zip(coef, told, strict=True)
    ]
    return torch.stack(answers)


def assert_alike(made, expected):
    assert made.shape == expected.shape
    assert torch.isfinite(made).all()
    assert (made - expected).norm() <= RELATIVE * expected.norm()


def test_rates_are_the_encoders(checkpoint, asked):
    rates = CompactRates(checkpoint).rates(*asked)
    assert rates.shape == (BATCH, N_FRAMES, len(checkpoint.card.rois))
    assert_alike(rates, answered(checkpoint, *asked))


def test_gradients_are_those_of_autograd(checkpoint, asked):
    video, behavior = asked
    n = len(checkpoint.card.rois)
    weight = torch.randn(BATCH, N_FRAMES, n, generator=torch.Generator().manual_seed(4))
    gradients = []
    for rates in (CompactRates(checkpoint).rates, lambda *a: answered(checkpoint, *a)):
        movie = video.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(
            (rates(movie, behavior) * weight).sum(), movie
        )
        gradients.append(gradient)
    assert_alike(*gradients)
    for movie in range(BATCH):  # each by itself: nothing leaks into the next
        assert_alike(gradients[0][movie], gradients[1][movie])
    assert_alike(gradients[0][:, : MEMORY - 1], gradients[1][:, : MEMORY - 1])


def test_one_movie_needs_no_batch(asked):
    video, behavior = asked
    rates = CompactRates(world.checkpoint())
    np.testing.assert_allclose(
        rates.rates(video[1], behavior[1]), rates.rates(video, behavior)[1], rtol=1e-5
    )


def test_behaviour_not_known_is_as_on_average(asked):
    video, behavior = asked
    rates = CompactRates(world.checkpoint())
    unknown = rates.rates(video, torch.full_like(behavior, torch.nan))
    average = rates.rates(video, world.MEAN.expand_as(behavior))
    assert torch.equal(unknown, average)
    beyond = world.MEAN + torch.tensor([4.0, 99.0, -99.0, -1.0]) * world.SD
    expected = [4.0, 4.0, -4.0, -1.0]
    assert scaled(world.checkpoint().calibration, beyond).tolist() == expected
    assert scaled(world.checkpoint().calibration, beyond[:2]).tolist() == [4, 4, 0, 0]
