"""A batch's gradient is the same, however many pieces and processes it is cut into."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder.compact import MEMORY
from rtrecon.encoder.device_memory import say_nothing
from rtrecon.training.compact import fit
from rtrecon.training.compact.fit import Job, Recipe, train
from rtrecon.training.compact.gradient import Gradient
from rtrecon.training.compact.trainable_encoder import Trainee, begin
from rtrecon.training.distributed import ALONE, Place
from rtrecon.training.score import correlation, mean_r
from tests.support.fit_world import world

RECIPE = Recipe(epochs=2, batch_frames=300)
HALF_R = 0.03  # that rounding to half precision may cost


@pytest.fixture(scope="module")
def data():
    torch.set_num_threads(1)
    return world(1200, seed=0)


@pytest.fixture(scope="module")
def job(data):
    return Job(data.part(0, 900), data.part(900, 1200), RECIPE)


@pytest.fixture(scope="module")
def fitted(job):
    return train(job, lambda _: None)


class Together(Place):
    """One of several processes whose sums are made by the test."""

    def sum(self, tensors):
        """Leaves each process what is its own."""


def gradients(data, place):
    """Misfit and gradients of one batch, as this process has them before the sum."""
    trainee = begin(data, None, ALONE)

    def loss(part):
        misfit = fit.poisson_misfit(trainee(part), part, torch.ones(12))
        return misfit, misfit + 0.01 * trainee.spatial.energy()

    misfit = Gradient(trainee, loss, place, say_nothing).of(data)
    return [misfit, *(weights.grad for weights in trainee.parameters())]


@pytest.mark.parametrize("n_processes", [2, 3])
def test_the_shares_of_all_processes_add_up_to_the_batch(data, n_processes):
    batch = data.part(0, 301)
    whole = gradients(batch, ALONE)
    shares = [
        gradients(batch, Together(rank=rank, size=n_processes))
        for rank in range(n_processes)
    ]
    for own, *parts in zip(whole, *shares, strict=True):
        torch.testing.assert_close(sum(parts), own, rtol=1e-3, atol=1e-4)


def test_shares_answer_for_every_frame_once(data):
    batch = data.part(0, 100)
    shares = [batch.share(place, 7) for place in range(7)]
    assert sum(share.n_answers for share in shares) == batch.n_answers == 89
    answered = torch.cat([share.activity[MEMORY - 1 :] for share in shares])
    torch.testing.assert_close(answered, batch.activity[MEMORY - 1 :])


def short_of_memory(monkeypatch, most_frames):
    """A device that has no room for the answers to more frames."""
    answer = Trainee.forward

    def forward(self, data):
        if data.n_answers > most_frames:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return answer(self, data)

    monkeypatch.setattr(Trainee, "forward", forward)


def test_a_device_short_of_memory_takes_smaller_pieces(monkeypatch, job, fitted):
    short_of_memory(monkeypatch, 100)  # a third of a batch
    told = []
    small = train(dataclasses.replace(job, say=told.append), lambda _: None)
    assert len(told) == 2
    assert "cpu ran out of memory: batches are taken in 2 pieces" in told[0]
    assert "in 4 pieces" in told[1]
    for kept, whole in zip(small.history, fitted.history, strict=True):
        assert kept.misfit == pytest.approx(whole.misfit, rel=1e-3)
        assert kept.validation_r == pytest.approx(whole.validation_r, abs=1e-2)


def test_a_device_without_any_memory_is_told_in_a_sentence(monkeypatch, job):
    short_of_memory(monkeypatch, 0)
    with pytest.raises(UserError, match="cannot be cut into 512: these neurons need"):
        train(job, lambda _: None)


def test_a_device_too_small_for_the_encoder_is_told_in_a_sentence(monkeypatch, job):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.optim.Adam, "step", full)
    with pytest.raises(UserError, match="cpu has no memory for an encoder of 12 neuro"):
        train(job, lambda _: None)


def test_half_precision_learns_the_same(job, fitted):
    half = Place(precision=torch.bfloat16)
    rounded = train(dataclasses.replace(job, place=half), lambda _: None)
    assert rounded.history != fitted.history, "nothing was rounded"
    r, exact = (
        mean_r(correlation(found.model, job.validation)) for found in (rounded, fitted)
    )
    assert r == pytest.approx(exact, abs=HALF_R)
    assert exact > 0.2
    assert {tensor.dtype for tensor in rounded.model.state_dict().values()} == {
        torch.float32
    }
