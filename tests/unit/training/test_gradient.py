"""The gradient of a batch does not depend on the number of pieces or processes."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from rtrecon.core.errors import UserError
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.device_memory import ignore_notice
from rtrecon.training.compact.fit import FitJob, TrainingRecipe, fit_encoder
from rtrecon.training.compact.gradient import BatchGradient, compute_poisson_loss
from rtrecon.training.compact.trainable_encoder import (
    TrainableEncoder,
    initialize_encoder,
)
from rtrecon.training.distributed import SINGLE_PROCESS, DistributedContext
from rtrecon.training.score import average_correlation, compute_correlation
from tests.support.fit_world import make_fit_data

RECIPE = TrainingRecipe(epochs=2, batch_frames=300)
MAX_HALF_PRECISION_LOSS = 0.03  # of r


@pytest.fixture(scope="module")
def data():
    torch.set_num_threads(1)
    return make_fit_data(1200, seed=0)


@pytest.fixture(scope="module")
def job(data):
    return FitJob(data.slice_frames(0, 900), data.slice_frames(900, 1200), RECIPE)


@pytest.fixture(scope="module")
def fitted(job):
    return fit_encoder(job, lambda _: None)


class SeparateProcess(DistributedContext):
    """One of several processes; the test sums their results."""

    def all_reduce(self, tensors):
        """Leave the tensors as they are."""


def compute_gradients(data, context):
    """Return loss and gradients of one batch in one process, before they are summed."""
    encoder = initialize_encoder(data, None, SINGLE_PROCESS)

    def loss(part):
        training_loss = compute_poisson_loss(encoder(part), part, torch.ones(12))
        return training_loss, training_loss + 0.01 * encoder.filter_parameters.penalty()

    training_loss = BatchGradient(encoder, loss, context, ignore_notice).compute(data)
    return [training_loss, *(weights.grad for weights in encoder.parameters())]


@pytest.mark.parametrize("n_processes", [2, 3])
def test_the_gradients_of_all_processes_sum_to_that_of_the_batch(data, n_processes):
    batch = data.slice_frames(0, 301)
    whole = compute_gradients(batch, SINGLE_PROCESS)
    shares = [
        compute_gradients(batch, SeparateProcess(rank=rank, world_size=n_processes))
        for rank in range(n_processes)
    ]
    for expected, *parts in zip(whole, *shares, strict=True):
        torch.testing.assert_close(sum(parts), expected, rtol=1e-3, atol=1e-4)


def test_shares_predict_every_frame_once(data):
    batch = data.slice_frames(0, 100)
    shares = [batch.select_share(index, 7) for index in range(7)]
    assert sum(share.n_predicted for share in shares) == batch.n_predicted == 89
    predicted = torch.cat([share.activity[MEMORY_FRAMES - 1 :] for share in shares])
    assert torch.equal(predicted, batch.activity[MEMORY_FRAMES - 1 :])


def limit_memory(monkeypatch, max_frames):
    """Make a device that has memory for predictions of few frames only."""
    usual_forward = TrainableEncoder.forward

    def forward(self, data):
        if data.n_predicted > max_frames:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return usual_forward(self, data)

    monkeypatch.setattr(TrainableEncoder, "forward", forward)


def test_a_device_with_little_memory_computes_smaller_pieces(monkeypatch, job, fitted):
    limit_memory(monkeypatch, 100)  # a third of a batch
    notices = []
    small = fit_encoder(dataclasses.replace(job, notify=notices.append), lambda _: None)
    assert len(notices) == 2
    assert "cpu ran out of memory: batches are computed in 2 pieces" in notices[0]
    assert "in 4 pieces" in notices[1]
    for pieces, whole in zip(small.history, fitted.history, strict=True):
        assert pieces.training_loss == pytest.approx(whole.training_loss, rel=1e-3)
        assert pieces.validation_r == pytest.approx(whole.validation_r, abs=1e-2)


def test_a_device_without_any_memory_is_refused_with_a_sentence(monkeypatch, job):
    limit_memory(monkeypatch, 0)
    with pytest.raises(
        UserError, match="cannot be cut into 512 pieces: these neurons need"
    ):
        fit_encoder(job, lambda _: None)


def test_a_device_too_small_for_the_encoder_is_refused(monkeypatch, job):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.optim.Adam, "step", full)
    with pytest.raises(UserError, match="cpu has no memory for an encoder of 12 neuro"):
        fit_encoder(job, lambda _: None)


def test_half_precision_learns_equally_well(job, fitted):
    half = DistributedContext(precision=torch.bfloat16)
    rounded = fit_encoder(dataclasses.replace(job, context=half), lambda _: None)
    assert rounded.history != fitted.history, "nothing was rounded"
    r, exact = (
        average_correlation(compute_correlation(result.encoder, job.validation))
        for result in (rounded, fitted)
    )
    assert r == pytest.approx(exact, abs=MAX_HALF_PRECISION_LOSS)
    assert exact > 0.2
    assert {tensor.dtype for tensor in rounded.encoder.state_dict().values()} == {
        torch.float32
    }
