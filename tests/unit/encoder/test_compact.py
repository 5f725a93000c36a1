"""The compact encoder is causal, positive and differentiable, with a short memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import (
    MEMORY_FRAMES,
    N_KERNELS,
    CompactEncoder,
    make_temporal_kernels,
)
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.video import VIDEO

LOW = make_dct_basis(VIDEO.with_cutoff(0.1))
N, T = 7, 50


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def encoder():
    """Neurons with different filters and weights."""
    encoder = CompactEncoder(LOW.n_coef, N)
    encoder.spatial_filters.normal_()
    encoder.set_normalization_pool(
        np.random.default_rng(0).uniform(0, (36, 64), (N, 2))
    )
    with torch.no_grad():
        for parameter in (
            encoder.temporal_weights,
            encoder.rectifier_weights,
            encoder.behavior_gain,
        ):
            parameter.normal_()
    return encoder.requires_grad_(False)


@pytest.fixture
def movie():
    return torch.randn(T, LOW.n_coef)


def predict(encoder, movie, behavior=None):
    """Activity from frame MEMORY_FRAMES - 1 on; mean behavior if none is given."""
    n_frames = len(movie) - MEMORY_FRAMES + 1
    if behavior is None:
        behavior = torch.zeros(n_frames, len(BEHAVIOR))
    return encoder.predict_from_filtered(encoder.apply_spatial_filters(movie), behavior)


def test_a_prediction_depends_on_its_memory_and_on_no_later_frame(encoder, movie):
    before, changed = predict(encoder, movie), 30
    movie[changed] += 1
    differ = (predict(encoder, movie) != before).any(1)
    touched = torch.arange(MEMORY_FRAMES - 1, T)[differ]
    assert touched.min() >= changed
    assert touched.max() < changed + MEMORY_FRAMES
    assert len(touched) >= MEMORY_FRAMES - 2  # the gamma bumps begin at zero


def test_a_prediction_needs_no_more_than_its_memory(encoder, movie):
    whole = predict(encoder, movie)
    for t in (MEMORY_FRAMES - 1, 25, T - 1):
        alone = predict(encoder, movie[t - MEMORY_FRAMES + 1 : t + 1])
        np.testing.assert_allclose(alone[0], whole[t - MEMORY_FRAMES + 1], rtol=1e-3)


def predict_step_by_step(encoder, movie, t):
    """The activity (n,) at frame t for mean behavior, in plain steps."""
    kernels = make_temporal_kernels().flip(1)  # oldest frame first
    seen = (movie[t - MEMORY_FRAMES + 1 : t + 1] @ encoder.spatial_filters.T).reshape(
        MEMORY_FRAMES, 2, N
    )
    drive = torch.empty(N)
    for i in range(N):
        energy = 1e-3
        for channel in range(2):
            taps = torch.einsum(
                "fk,km->mf", encoder.temporal_weights[channel, :, :, i], kernels
            )
            filtered = (taps * seen[:, :, i]).sum()
            half = encoder.rectifier_weights[2 * channel + int(filtered < 0), i]
            energy += (half * filtered) ** 2
        drive[i] = energy**0.5
    around = encoder.semisaturation.abs() + drive @ (
        encoder.pool_weights @ encoder.unpool_weights
    )
    tuned = (drive / around + 1e-3) ** encoder.log_exponent.exp()
    return tuned * encoder.log_scale.exp() + encoder.offset.abs() + 1e-5


@pytest.mark.parametrize("n_frames", [1, 35, 36, 37, 73])
def test_predictions_equal_those_of_plain_steps_for_any_length(encoder, n_frames):
    movie = torch.randn(n_frames + MEMORY_FRAMES - 1, LOW.n_coef)
    found = predict(encoder, movie)
    assert found.shape == (n_frames, N)
    for k in range(n_frames):
        expected = predict_step_by_step(encoder, movie, MEMORY_FRAMES - 1 + k)
        np.testing.assert_allclose(found[k], expected, rtol=1e-3)


def test_temporal_kernels_peak_one_after_the_other_and_start_at_zero():
    kernels = make_temporal_kernels()
    assert kernels.shape == (N_KERNELS, MEMORY_FRAMES)
    np.testing.assert_allclose(kernels.norm(dim=1), np.ones(N_KERNELS), rtol=1e-5)
    assert kernels.argmax(1).tolist() == sorted(set(kernels.argmax(1).tolist()))
    assert (kernels[:, 0] == 0).all()


def test_predictions_are_positive_and_gradients_finite_even_for_gray(encoder, movie):
    for frames in (torch.zeros_like(movie), movie, 1e4 * movie):
        frames = frames.clone().requires_grad_(True)
        expected = predict(encoder, frames)
        assert (expected > 0).all()
        (gradient,) = torch.autograd.grad(expected.log().sum(), frames)
        assert torch.isfinite(gradient).all()


def test_gradients_equal_finite_differences(encoder, movie):
    encoder, movie = encoder.double(), movie[: MEMORY_FRAMES + 1].double()
    behavior = torch.zeros(2, len(BEHAVIOR), dtype=torch.double)
    movie = movie[:, : LOW.n_coef].requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda frames: predict(encoder, frames, behavior), (movie,), fast_mode=True
    )


@pytest.mark.parametrize("index", range(len(BEHAVIOR)), ids=BEHAVIOR)
def test_behavior_multiplies_the_driven_activity(encoder, movie, index):
    baseline = encoder.offset.abs() + 1e-5
    driven = predict(encoder, movie) - baseline
    behavior = torch.zeros(T - MEMORY_FRAMES + 1, len(BEHAVIOR))
    behavior[:, index] = -1.5
    excited = predict(encoder, movie, behavior)
    gain = (-1.5 * encoder.behavior_gain[index]).exp()
    np.testing.assert_allclose(excited - baseline, driven * gain, rtol=2e-3, atol=1e-6)


def test_activity_saturates_with_contrast(encoder, movie):
    low, high, higher = (predict(encoder, k * movie).mean() for k in (0.01, 10, 100))
    assert high > 2 * low
    assert higher < 1.2 * high


def test_the_normalization_pool_averages_near_neurons():
    encoder = CompactEncoder(LOW.n_coef, 3)
    near, also_near, far = (10.0, 10.0), (12.0, 11.0), (30.0, 58.0)
    encoder.set_normalization_pool(np.array([near, also_near, far]))
    pool = (
        encoder.pool_weights @ encoder.unpool_weights
    )  # column: weights in a neuron's divisor
    np.testing.assert_allclose(pool.sum(0), np.ones(3), rtol=1e-4)
    assert pool[1, 0] > 0.3
    assert pool[2, 0] < 0.1
