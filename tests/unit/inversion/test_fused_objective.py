"""The compiled objective against its twin in torch, whose gradient is autograd's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import MEMORY, Compact
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.spectrum import SHAPE
from rtrecon.inversion.fused_objective import FusedObjective
from rtrecon.inversion.objective import Objective, Problem
from rtrecon.protocol.behavior import BEHAVIOR

SIZES = [(1, 1, 3), (7, 6, 20), (60, 24, 64), (131, 36, 90)]  # neurons, frames, coef
SEEDS = range(3)
RELATIVE = 1e-4


def world(n, n_frames, n_coef, seed):
    """Return a problem in which all differs, and a window of it to take."""
    torch.manual_seed(seed)
    encoder = Compact(n_coef, n).requires_grad_(False)
    encoder.filters.normal_(0, n_coef**-0.5)
    encoder.set_pool(np.random.default_rng(seed).uniform(0, SHAPE, (n, 2)))
    for name, parameter in encoder.named_parameters():
        parameter += (0.1 if "log" in name else 0.5) * torch.randn_like(parameter)
    rho, q, doubt = torch.rand(3, n_coef)
    prior = Prior(torch.randn(n_coef), rho, 0.5 * q, doubt)
    past = torch.randn(MEMORY - 1, n_coef)
    behavior = torch.randn(n_frames, len(BEHAVIOR))
    window = past, 3 * torch.rand(n_frames, n), behavior
    return Problem(encoder, prior, 2 * torch.rand(n)), window


def both(problem, window):
    twins = Objective(problem), FusedObjective(problem, len(window[1]))
    for twin in twins:
        twin.take(*window)
    return twins


def innovations(problem, window):
    return torch.randn(1 + len(window[1]), len(problem.prior.mean))


def precision(z):
    """Coefficients differ in how strong they may be."""
    return torch.linspace(0.1, 3.0, z.shape[1])


def slope_of(twin, z):
    return twin.slope(z, precision(z))


def assert_alike(made, expected):
    assert torch.isfinite(made).all()
    assert made.shape == expected.shape
    assert (made - expected).norm() <= RELATIVE * expected.norm()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", SIZES)
def test_objective_and_slope_are_those_of_autograd(size, seed):
    problem, window = world(*size, seed)
    reference, fused = both(problem, window)
    for _ in range(3):  # buffers are used again
        z = innovations(problem, window)
        (expected, expected_slope), (value, slope) = (
            slope_of(reference, z),
            slope_of(fused, z),
        )
        assert value == pytest.approx(float(expected), rel=RELATIVE)
        assert_alike(slope, expected_slope)
        assert_alike(slope[0], expected_slope[0])  # the frame before the window


@pytest.mark.parametrize("size", SIZES)
def test_predictions_are_those_of_the_encoder(size):
    problem, window = world(*size, seed=0)
    reference, fused = both(problem, window)
    z = innovations(problem, window)
    slope_of(fused, innovations(problem, window))  # leaves nothing behind
    assert_alike(fused.predict(z), reference.predict(z))


def test_a_new_window_replaces_all_of_the_old():
    problem, window = world(60, 24, 64, seed=0)
    _, other = world(60, 24, 64, seed=1)
    _, fused = both(problem, window)
    z = innovations(problem, window)
    slope_of(fused, z)
    fused.take(*other)
    expected, expected_slope = slope_of(both(problem, other)[0], z)
    value, slope = slope_of(fused, z)
    assert value == pytest.approx(float(expected), rel=RELATIVE)
    assert_alike(slope, expected_slope)


def losses(activity, weight):
    """What may be missing: (name, activity, weight)."""
    spotted, rows, cells = activity.clone(), activity.clone(), activity.clone()
    spotted[torch.rand_like(activity) < 0.3] = torch.nan
    rows[5:9] = torch.nan
    cells[:, ::3] = torch.nan
    unheard = weight.clone()
    unheard[::4] = 0
    yield "spots", spotted, weight
    yield "frames", rows, weight
    yield "neurons", cells, weight
    yield "weightless", activity, unheard
    yield "both", spotted, unheard
    yield "all activity", torch.full_like(activity, torch.nan), weight
    yield "all weight", activity, torch.zeros_like(weight)


@pytest.mark.parametrize("which", range(7))
def test_what_is_missing_or_weightless_does_not_count(which):
    problem, (past, activity, behavior) = world(60, 24, 64, seed=0)
    name, activity, weight = list(losses(activity, problem.weight))[which]
    problem = Problem(problem.encoder, problem.prior, weight)
    window = past, activity, behavior
    reference, fused = both(problem, window)
    z = innovations(problem, window)
    (expected, expected_slope), (value, slope) = (
        slope_of(reference, z),
        slope_of(fused, z),
    )
    assert value == pytest.approx(float(expected), rel=RELATIVE), name
    assert_alike(slope, expected_slope)
    if name.startswith("all"):
        assert_alike(slope, z * precision(z))  # the prior alone speaks


def test_the_slope_is_that_of_the_objective():
    problem, window = world(60, 24, 64, seed=0)
    _, fused = both(problem, window)
    z, way = innovations(problem, window), innovations(problem, window)
    far, near = slope_of(fused, z + 0.01 * way)[0], slope_of(fused, z - 0.01 * way)[0]
    _, slope = slope_of(fused, z)
    assert (far - near) / 0.02 == pytest.approx(float((slope * way).sum()), rel=0.01)
