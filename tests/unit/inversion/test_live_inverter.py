"""Inverting activity whose movie is known, because the encoder itself answered it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import MEMORY, Compact
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.inversion.live.inverter import LiveInverter, Problem
from rtrecon.inversion.live.prior_strength import settled
from rtrecon.protocol.behavior import BEHAVIOR
from tests.support.streaming import Pace

LOW = spectrum(0.08)
N, WINDOW, HOP = 240, 36, 6
streamed = Pace(HOP, steps=8).streamed
N_FRAMES = 30 * HOP
WEIGHT = torch.full((N,), 10.0)
LOST = slice(60, 72)  # frames that a test loses


@pytest.fixture(scope="module")
def prior():
    spread = 1.5 / (0.3 + 20 * LOW.cycles)
    rho = torch.full((LOW.n_coef,), 0.9)
    q = spread * (1 - rho**2).sqrt()
    return Prior(torch.zeros(LOW.n_coef), rho, q, doubt=spread / 2)


@pytest.fixture(scope="module")
def encoder(prior):
    """Simple and complex cells all over the screen, some of them slow."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # as live
    rng = np.random.default_rng(0)
    centers = rng.uniform((0, 0), SHAPE, (N, 2))
    encoder = Compact(LOW.n_coef, N).requires_grad_(False)
    filters = gabors(centers, rng) @ LOW.basis.T
    seen = filters @ torch.diag(prior.variance) @ filters.T
    encoder.filters = filters / seen.diag().sqrt()[:, None]
    encoder.set_pool(centers)
    encoder.mix[0, 0, 0] = encoder.mix[1, 1, 0] = 1.0
    encoder.mix[0, 1, 2] = 0.3
    encoder.halves[:] = 0.0
    encoder.halves[0] = 1.0
    encoder.halves[1:, N // 2 :] = 1.0  # complex: all halves of both channels
    encoder.gain.normal_(0, 0.2)
    return encoder


def gabors(centers, rng):
    """Even ones, then their odd partners: (2 n, 2304)."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]][:, None] - centers.T[:, :, None, None]
    angle, cycles = rng.uniform(0, 2 * np.pi, (2, len(centers), 1, 1))
    wave = 2j * np.pi * (0.02 + 0.01 * cycles) * (x * np.cos(angle) + y * np.sin(angle))
    pairs = np.exp(wave - (x**2 + y**2) / (2 * 4.0**2)).reshape(len(centers), -1)
    return torch.from_numpy(np.concatenate([pairs.real, pairs.imag])).float()


@pytest.fixture(scope="module")
def movie(prior):
    """What was shown: (MEMORY - 1 + N_FRAMES, C)."""
    z = torch.randn(
        MEMORY + N_FRAMES, LOW.n_coef, generator=torch.Generator().manual_seed(1)
    )
    return prior.unroll(z, prior.mean)


@pytest.fixture(scope="module")
def behavior():
    generator = torch.Generator().manual_seed(2)
    return torch.randn(N_FRAMES, len(BEHAVIOR), generator=generator)


@pytest.fixture(scope="module")
def activity(encoder, movie, behavior):
    return recorded(encoder, movie, behavior, counts=10)


@pytest.fixture
def problem(encoder, prior):
    return Problem(encoder, prior, WEIGHT)


def pixel_r(made, movie):
    """r over all pixels, from when the window first was full."""
    shown = movie[MEMORY - 1 :][: len(made)]
    a, b = ((m[WINDOW:] @ LOW.basis).ravel() for m in (made, shown))
    return np.corrcoef(a, b)[0, 1]


@pytest.fixture(scope="module")
def found(encoder, prior, activity, behavior):
    """The movie (N_FRAMES, C) that is found, and the inverter after it."""
    inverter = LiveInverter(Problem(encoder, prior, WEIGHT), WINDOW)
    return streamed(inverter, activity, behavior), inverter


def test_the_movie_is_found(found, movie):
    assert pixel_r(found[0], movie) > 0.6


def heard_of(inverter):
    """How much it found of the innovations of movies, of which there is 1."""
    frames, squares = settled(inverter.z, inverter.told())
    return squares / frames


def test_learning_how_strong_things_are_costs_movies_little(
    problem, activity, behavior, found, movie
):
    inverter = LiveInverter(replace(problem, heard=heard_of(found[1])), WINDOW)
    made = streamed(inverter, activity, behavior)
    assert pixel_r(made, movie) > pixel_r(found[0], movie) - 0.05


def test_what_movies_hardly_have_is_found_where_it_is_strong(
    encoder, prior, movie, behavior
):
    """Of little activity, so that it matters what is taken to be likely."""
    counts, streamed = 0.3, Pace(HOP, steps=16).streamed
    held = Problem(encoder, prior, torch.full((N,), counts))
    inverter = LiveInverter(held, WINDOW)
    streamed(inverter, recorded(encoder, movie, behavior, counts), behavior)
    learnt = replace(held, heard=heard_of(inverter))
    fine = LOW.cycles > LOW.cycles.median()
    unlike = replace(prior, q=prior.q * torch.where(fine, 20.0, 0.05))
    gained = []
    for seed in range(3):
        z = torch.randn(MEMORY + N_FRAMES, LOW.n_coef, generator=seeded(seed))
        shown = unlike.unroll(z, unlike.mean)
        told = recorded(encoder, shown, behavior, counts)
        before, after = (
            pixel_r(streamed(LiveInverter(each, WINDOW), told, behavior), shown)
            for each in (held, learnt)
        )
        gained.append(after - before)
    assert np.mean(gained) > 0.1


def recorded(encoder, movie, behavior, counts):
    """Activity of a single trial, of so many counts per unit of it."""
    expected = encoder.answer(encoder.look(movie), behavior)
    return torch.poisson(expected * counts, seeded(3)) / counts


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_neurons_exchanged_find_nothing(problem, activity, behavior, movie):
    exchange = torch.randperm(N, generator=torch.Generator().manual_seed(4))
    inverter = LiveInverter(problem, WINDOW)
    made = streamed(inverter, activity[:, exchange], behavior)
    assert abs(pixel_r(made, movie)) < 0.15


def test_the_window_predicts_what_the_whole_movie_would(found, encoder, behavior):
    made, inverter = found
    streamed_alone = inverter.predict()
    at_once = encoder.answer(encoder.look(made), behavior[MEMORY - 1 :])
    np.testing.assert_allclose(streamed_alone, at_once[-WINDOW:], rtol=2e-3, atol=1e-5)


def test_what_leaves_the_window_is_what_it_last_showed(problem, activity, behavior):
    inverter = LiveInverter(problem, WINDOW)
    inverter.advance(activity[:HOP], behavior[:HOP])
    inverter.step(0.0)
    shown = inverter.frames()
    left = inverter.advance(activity[HOP : 2 * HOP], behavior[HOP : 2 * HOP])
    np.testing.assert_array_equal(left, shown[:HOP])
    # What stays is the same movie, up to the little noise that starts new frames.
    np.testing.assert_allclose(inverter.frames()[:-HOP], shown[HOP:], atol=1e-4)


def objective(problem, inverter, before):
    """-log posterior of the window, from its definition; no frame of it is missing."""
    predicted = problem.encoder.answer(
        problem.encoder.look(torch.cat([before, inverter.frames()])), inverter.behavior
    )
    misfit = predicted - inverter.activity * predicted.log()
    return (misfit * problem.weight).sum() + inverter.z.square().sum() / 2


def test_steps_lower_the_objective_as_defined(problem, activity, behavior):
    inverter = LiveInverter(problem, WINDOW)
    before = inverter.advance(activity[:WINDOW], behavior[:WINDOW])[-(MEMORY - 1) :]
    expected = float(objective(problem, inverter, before))
    told = [inverter.step(step / 39) for step in range(40)]
    assert told[0] == pytest.approx(expected, rel=1e-4)
    assert told[-1] < 0.6 * told[0]
    assert (np.diff(told[-10:]) < 0).all()


def test_steps_settle_where_nothing_near_is_better(problem, activity, behavior):
    inverter = LiveInverter(problem, WINDOW)
    inverter.advance(activity[:WINDOW], behavior[:WINDOW])
    for step in range(400):
        inverter.step(step / 399)
    settled = inverter.step(1.0)
    for _ in range(20):
        nudged = LiveInverter(problem, WINDOW)
        nudged.advance(activity[:WINDOW], behavior[:WINDOW])
        nudged.z = inverter.z + 0.1 * torch.randn_like(inverter.z)
        assert nudged.step(1.0) > settled


def test_lost_activity_never_enters(problem, activity, behavior):
    lossy = activity.clone()
    lossy[LOST, ::2] = torch.nan
    lossy[:, 5] = torch.nan
    inverter = LiveInverter(problem, WINDOW)
    made = streamed(inverter, lossy, behavior)
    assert torch.isfinite(made).all()
    assert torch.isfinite(inverter.predict()).all()
    weight = problem.weight.clone()
    weight[5] = 0  # as if it had not been there
    without = replace(problem, weight=weight)
    lossy[:, 5] = 1e3
    again = streamed(LiveInverter(without, WINDOW), lossy, behavior)
    np.testing.assert_allclose(made, again, atol=1e-3)


def test_where_all_is_lost_the_prior_goes_on(problem, activity, behavior, prior):
    inverter = LiveInverter(problem, WINDOW)
    streamed(inverter, activity, behavior)
    lost = torch.full((2 * WINDOW, N), torch.nan)
    streamed(inverter, lost, torch.zeros(2 * WINDOW, len(BEHAVIOR)))
    frames = inverter.frames()
    assert torch.isfinite(frames).all()
    extrapolated = prior.unroll(torch.zeros(1 + WINDOW, LOW.n_coef), frames[0])
    spread = prior.variance.sqrt()
    assert ((frames[1:] - extrapolated[:-1]) / spread).abs().max() < 0.1
    assert (frames[-1] / spread).abs().mean() < 0.2


def test_how_much_of_each_frame_is_told(problem, activity, behavior):
    inverter = LiveInverter(problem, WINDOW)
    np.testing.assert_array_equal(inverter.information_fraction(), np.zeros(WINDOW))
    streamed(inverter, activity[: 2 * WINDOW], behavior[: 2 * WINDOW])
    all_there = inverter.information_fraction()
    settled = slice(0, WINDOW - MEMORY + 1)
    np.testing.assert_allclose(all_there[settled], 1, atol=1e-6)
    # The youngest are answered in frames that are still to come.
    assert (all_there[settled.stop :].diff() < 0).all()
    assert all_there[-1] < 0.05


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_lost_activity_tells_less_of_what_was_shown_just_before(
    problem, activity, behavior, share
):
    lossy = activity[: 2 * WINDOW].clone()
    hole = slice(WINDOW + 2, WINDOW + 2 + MEMORY)
    lost = problem.weight.cumsum(0) <= share * problem.weight.sum() * 1.001
    lossy[hole, lost] = torch.nan
    inverter = LiveInverter(problem, WINDOW)
    streamed(inverter, lossy, behavior[: 2 * WINDOW])
    told = inverter.information_fraction()
    kept = 1 - problem.weight[lost].sum() / problem.weight.sum()
    np.testing.assert_allclose(told[2], kept, atol=1e-5)
    assert told[0] > kept + 0.01  # its first answers are there
    assert told[14] > 0.99  # after the hole nothing is missing


def test_after_a_hole_it_finds_the_movie_again(problem, activity, behavior, movie):
    lossy = activity.clone()
    lossy[LOST] = torch.nan
    made = streamed(LiveInverter(problem, WINDOW), lossy, behavior)
    after = LOST.stop + HOP
    assert pixel_r(made[after:], movie[after:]) > 0.6


def test_the_seed_decides(problem, activity, behavior):
    part = slice(0, 10 * HOP)
    one, same, other = (
        streamed(LiveInverter(problem, WINDOW, seed), activity[part], behavior[part])
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
