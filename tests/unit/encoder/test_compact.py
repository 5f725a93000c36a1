"""The compact encoder: causal, short of memory, positive, and easy to differentiate."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import MEMORY, N_KERNELS, Compact, temporal_kernels
from rtrecon.encoder.spectrum import spectrum
from rtrecon.protocol.behavior import BEHAVIOR

LOW = spectrum(0.1)
N, T = 7, 50


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def encoder():
    """Neurons whose filters, mixes and halves are all different."""
    encoder = Compact(LOW.n_coef, N)
    encoder.filters.normal_()
    encoder.set_pool(np.random.default_rng(0).uniform(0, (36, 64), (N, 2)))
    with torch.no_grad():
        for parameter in (encoder.mix, encoder.halves, encoder.gain):
            parameter.normal_()
    return encoder.requires_grad_(False)


@pytest.fixture
def movie():
    return torch.randn(T, LOW.n_coef)


def answers(encoder, movie, behavior=None):
    """Activity from frame MEMORY - 1 on; behaviour is average if not given."""
    n_frames = len(movie) - MEMORY + 1
    if behavior is None:
        behavior = torch.zeros(n_frames, len(BEHAVIOR))
    return encoder.answer(encoder.look(movie), behavior)


def test_an_answer_depends_on_its_frames_and_on_none_later_or_long_before(
    encoder, movie
):
    before, changed = answers(encoder, movie), 30
    movie[changed] += 1
    differ = (answers(encoder, movie) != before).any(1)
    touched = torch.arange(MEMORY - 1, T)[differ]
    assert touched.min() >= changed
    assert touched.max() < changed + MEMORY
    assert len(touched) >= MEMORY - 2  # the gamma bumps begin at zero


def test_memory_frames_are_enough(encoder, movie):
    whole = answers(encoder, movie)
    for t in (MEMORY - 1, 25, T - 1):
        alone = answers(encoder, movie[t - MEMORY + 1 : t + 1])
        np.testing.assert_allclose(alone[0], whole[t - MEMORY + 1], rtol=1e-3)


def plainly(encoder, movie, t):
    """The activity (n,) at frame t for average behaviour, step by step."""
    kernels = temporal_kernels().flip(1)  # oldest frame first
    seen = (movie[t - MEMORY + 1 : t + 1] @ encoder.filters.T).reshape(MEMORY, 2, N)
    drive = torch.empty(N)
    for i in range(N):
        energy = 1e-3
        for channel in range(2):
            taps = torch.einsum("fk,km->mf", encoder.mix[channel, :, :, i], kernels)
            filtered = (taps * seen[:, :, i]).sum()
            half = encoder.halves[2 * channel + int(filtered < 0), i]
            energy += (half * filtered) ** 2
        drive[i] = energy**0.5
    around = encoder.rest.abs() + drive @ (encoder.gather @ encoder.spread)
    tuned = (drive / around + 1e-3) ** encoder.log_power.exp()
    return tuned * encoder.log_scale.exp() + encoder.offset.abs() + 1e-5


@pytest.mark.parametrize("n_frames", [1, 35, 36, 37, 73])
def test_answers_are_those_of_plain_steps_however_many_at_once(encoder, n_frames):
    movie = torch.randn(n_frames + MEMORY - 1, LOW.n_coef)
    found = answers(encoder, movie)
    assert found.shape == (n_frames, N)
    for k in range(n_frames):
        expected = plainly(encoder, movie, MEMORY - 1 + k)
        np.testing.assert_allclose(found[k], expected, rtol=1e-3)


def test_kernels_peak_ever_later_and_begin_at_nothing():
    kernels = temporal_kernels()
    assert kernels.shape == (N_KERNELS, MEMORY)
    np.testing.assert_allclose(kernels.norm(dim=1), np.ones(N_KERNELS), rtol=1e-5)
    assert kernels.argmax(1).tolist() == sorted(set(kernels.argmax(1).tolist()))
    assert (kernels[:, 0] == 0).all()


def test_answers_are_positive_and_gradients_finite_even_for_gray(encoder, movie):
    for frames in (torch.zeros_like(movie), movie, 1e4 * movie):
        frames = frames.clone().requires_grad_(True)
        expected = answers(encoder, frames)
        assert (expected > 0).all()
        (gradient,) = torch.autograd.grad(expected.log().sum(), frames)
        assert torch.isfinite(gradient).all()


def test_gradients_are_those_of_small_steps(encoder, movie):
    encoder, movie = encoder.double(), movie[: MEMORY + 1].double()
    behavior = torch.zeros(2, len(BEHAVIOR), dtype=torch.double)
    movie = movie[:, : LOW.n_coef].requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda frames: answers(encoder, frames, behavior), (movie,), fast_mode=True
    )


@pytest.mark.parametrize("place", range(len(BEHAVIOR)), ids=BEHAVIOR)
def test_behavior_multiplies_what_the_movie_drives(encoder, movie, place):
    undriven = encoder.offset.abs() + 1e-5
    calm = answers(encoder, movie) - undriven
    behavior = torch.zeros(T - MEMORY + 1, len(BEHAVIOR))
    behavior[:, place] = -1.5
    excited = answers(encoder, movie, behavior)
    gain = (-1.5 * encoder.gain[place]).exp()
    np.testing.assert_allclose(excited - undriven, calm * gain, rtol=2e-3, atol=1e-6)


def test_contrast_saturates(encoder, movie):
    low, high, higher = (answers(encoder, k * movie).mean() for k in (0.01, 10, 100))
    assert high > 2 * low
    assert higher < 1.2 * high


def test_the_pool_averages_neighbours():
    encoder = Compact(LOW.n_coef, 3)
    near, also_near, far = (10.0, 10.0), (12.0, 11.0), (30.0, 58.0)
    encoder.set_pool(np.array([near, also_near, far]))
    around = encoder.gather @ encoder.spread  # column: what a neuron is divided by
    np.testing.assert_allclose(around.sum(0), np.ones(3), rtol=1e-4)
    assert around[1, 0] > 0.3
    assert around[2, 0] < 0.1
