"""The compiled objective equals the torch objective, whose gradient is autograd's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rtrecon.encoder.compact import MEMORY_FRAMES, CompactEncoder
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.window_prior import WindowPrior
from rtrecon.inversion.fused_objective import FusedObjective
from rtrecon.inversion.objective import InverseProblem, Objective
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.video import IMAGE_SHAPE

SIZES = [(1, 1, 3), (7, 6, 20), (60, 24, 64), (131, 36, 90)]  # neurons, frames, coef
SEEDS = range(3)
# float32 sums over up to 131 neurons x 36 frames in two orders: errors near 1e-6 each,
# and terms of opposite sign amplify them.
RELATIVE = 1e-4


def world(n, n_frames, n_coef, seed):
    """Return a problem with random parameters, and a window of data."""
    torch.manual_seed(seed)
    encoder = CompactEncoder(n_coef, n).requires_grad_(False)
    encoder.spatial_filters.normal_(0, n_coef**-0.5)
    encoder.set_normalization_pool(
        np.random.default_rng(seed).uniform(0, IMAGE_SHAPE, (n, 2))
    )
    for name, parameter in encoder.named_parameters():
        parameter += (0.1 if "log" in name else 0.5) * torch.randn_like(parameter)
    rho, q, frame_error_sd = torch.rand(3, n_coef)
    prior = Prior(torch.randn(n_coef), rho, 0.5 * q, frame_error_sd)
    past = torch.randn(MEMORY_FRAMES - 1, n_coef)
    behavior = torch.randn(n_frames, len(BEHAVIOR))
    moving_prior = WindowPrior(
        previous_mean=torch.randn(n_coef),
        mean=torch.randn(n_frames, n_coef),
        ar_coefficient=rho,
        innovation_sd=torch.rand(n_frames, n_coef),
        frame_error_sd=frame_error_sd,
    )
    window = past, 3 * torch.rand(n_frames, n), behavior, moving_prior
    return InverseProblem(encoder, prior, 2 * torch.rand(n)), window


def both(problem, window):
    twins = Objective(problem), FusedObjective(problem, len(window[1]))
    for twin in twins:
        twin.set_window(*window)
    return twins


def innovations(problem, window):
    return torch.randn(1 + len(window[1]), len(problem.prior.mean))


def precision(z):
    """Return a different precision for every coefficient."""
    return torch.linspace(0.1, 3.0, z.shape[1])


def slope_of(twin, z):
    return twin.value_and_gradient(z, precision(z))


def assert_alike(made, expected):
    assert torch.isfinite(made).all()
    assert made.shape == expected.shape
    assert (made - expected).norm() <= RELATIVE * expected.norm()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", SIZES)
def test_objective_and_gradient_equal_autograd(size, seed):
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
def test_predictions_equal_the_encoder(size):
    problem, window = world(*size, seed=0)
    reference, fused = both(problem, window)
    z = innovations(problem, window)
    slope_of(fused, innovations(problem, window))  # leaves nothing behind
    assert_alike(fused.predict_activity(z), reference.predict_activity(z))


def test_a_new_window_replaces_the_old_one_completely():
    problem, window = world(60, 24, 64, seed=0)
    _, other = world(60, 24, 64, seed=1)
    _, fused = both(problem, window)
    z = innovations(problem, window)
    slope_of(fused, z)
    fused.set_window(*other)
    expected, expected_slope = slope_of(both(problem, other)[0], z)
    value, slope = slope_of(fused, z)
    assert value == pytest.approx(float(expected), rel=RELATIVE)
    assert_alike(slope, expected_slope)


def losses(activity, weight):
    """Yield cases of missing data: (name, activity, weight)."""
    spotted, rows, cells = activity.clone(), activity.clone(), activity.clone()
    spotted[torch.rand_like(activity) < 0.3] = torch.nan
    rows[5:9] = torch.nan
    cells[:, ::3] = torch.nan
    weightless = weight.clone()
    weightless[::4] = 0
    yield "spots", spotted, weight
    yield "frames", rows, weight
    yield "neurons", cells, weight
    yield "weightless", activity, weightless
    yield "both", spotted, weightless
    yield "all activity", torch.full_like(activity, torch.nan), weight
    yield "all weight", activity, torch.zeros_like(weight)


@pytest.mark.parametrize("which", range(7))
def test_missing_activity_and_neurons_of_weight_zero_do_not_count(which):
    problem, (past, activity, behavior, moving_prior) = world(60, 24, 64, seed=0)
    name, activity, weight = list(losses(activity, problem.weight))[which]
    problem = InverseProblem(problem.encoder, problem.prior, weight)
    window = past, activity, behavior, moving_prior
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


def test_the_gradient_equals_finite_differences():
    problem, window = world(60, 24, 64, seed=0)
    _, fused = both(problem, window)
    z, way = innovations(problem, window), innovations(problem, window)
    far, near = slope_of(fused, z + 0.01 * way)[0], slope_of(fused, z - 0.01 * way)[0]
    _, slope = slope_of(fused, z)
    assert (far - near) / 0.02 == pytest.approx(float((slope * way).sum()), rel=0.01)
