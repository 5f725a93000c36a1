"""Samples from the posterior, where theory says how far they spread."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.live.posterior_sampler import PosteriorSampler
from rtrecon.inversion.objective import InverseProblem
from rtrecon.protocol.behavior import BEHAVIOR
from tests.support import inversion_world

N_NEURONS, WINDOW, HOP = 60, 10, 5


@pytest.fixture(scope="module")
def problem() -> InverseProblem:
    checkpoint = inversion_world.make_checkpoint(N_NEURONS)
    weight = torch.full((N_NEURONS,), inversion_world.COUNTS)
    return InverseProblem(checkpoint.encoder, checkpoint.prior, weight)


def draw_activity(n_frames: int, *, is_recorded: bool) -> Tensor:
    """Return activity that a movie of the prior causes, or none."""
    if not is_recorded:
        return torch.full((n_frames, N_NEURONS), torch.nan)
    clip = inversion_world.make_clip(n_frames, neurons=N_NEURONS)
    return torch.from_numpy(clip.target.activity)


def measure_variance(problem: InverseProblem, *, is_recorded: bool) -> Tensor:
    """Return the variance (n_coef,) of samples about the movie, over frames."""
    inversion = MapInversion(problem, WINDOW)
    sampler = PosteriorSampler(inversion, seed=1)
    activity, differences = draw_activity(50, is_recorded=is_recorded), []
    for part in activity.split(HOP):
        inversion.push_activity(part, torch.zeros(HOP, len(BEHAVIOR)))
        sampler.push_activity(HOP)
        for step in range(3):
            inversion.step(step / 2)
        sampler.step(3)
        movie = inversion.movie_coefficients()
        differences.append(sampler.sample_coefficients() - movie)
    return torch.cat(differences[2:]).square().mean(0)


def test_without_activity_a_sample_is_one_of_the_prior(problem: InverseProblem):
    fast = replace(
        problem.prior, ar_coefficient=torch.zeros_like(problem.prior.ar_coefficient)
    )
    white = replace(problem, prior=fast)
    ratio = measure_variance(white, is_recorded=False) / fast.variance
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.05)


def test_activity_narrows_the_samples(problem: InverseProblem):
    precision = 1 / problem.prior.variance
    without = measure_variance(problem, is_recorded=False) @ precision
    weak = replace(problem, weight=0.1 * problem.weight)
    some = measure_variance(weak, is_recorded=True) @ precision
    more = measure_variance(problem, is_recorded=True) @ precision
    assert more < some < without


def test_equal_seeds_give_equal_samples(problem: InverseProblem):
    first, second = (measure_variance(problem, is_recorded=True) for _ in range(2))
    assert torch.equal(first, second)


def test_neurons_that_the_inversion_ignores_get_no_noise(problem: InverseProblem):
    weight = problem.weight.clone()
    weight[:10] = 0
    inversion = MapInversion(replace(problem, weight=weight), WINDOW)
    sampler = PosteriorSampler(inversion, seed=1)
    activity = draw_activity(HOP, is_recorded=True)
    inversion.push_activity(activity, torch.zeros(HOP, len(BEHAVIOR)))
    sampler.push_activity(HOP)
    sampler.step(1)
    assert torch.isfinite(sampler.sample_coefficients()).all()


def test_lost_activity_lowers_the_recorded_fraction(problem: InverseProblem):
    inversion = MapInversion(problem, WINDOW)
    behavior = torch.zeros(WINDOW, len(BEHAVIOR))
    inversion.push_activity(draw_activity(WINDOW, is_recorded=True), behavior)
    assert inversion.recorded_fraction().tolist() == pytest.approx([1.0] * WINDOW)
    activity = draw_activity(WINDOW, is_recorded=True)
    activity[:, : N_NEURONS // 2] = torch.nan
    inversion.push_activity(activity, behavior)
    # No neuron has responded to the newest frame yet, so nothing of it is lost.
    expected = [0.5] * (WINDOW - 1) + [1.0]
    assert inversion.recorded_fraction().tolist() == pytest.approx(expected)
