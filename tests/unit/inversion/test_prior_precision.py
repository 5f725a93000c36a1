"""The prior's precision adapts to innovations of known strength."""

from __future__ import annotations

import pytest
import torch

from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.prior import Prior
from rtrecon.inversion.live.prior_precision import (
    EXCLUDED_FRAMES,
    PriorPrecision,
    accumulate_power,
)
from rtrecon.inversion.objective import InverseProblem

N_COEF, N_FRAMES = 64, 400
TRUE = torch.tensor([0.5, 1.0, 3.0, 10.0]).repeat(N_COEF // 4)  # times as in movies
ALL = torch.ones(EXCLUDED_FRAMES + N_FRAMES)
NONE = torch.zeros_like(ALL)


def create_precision(recovered: torch.Tensor | None) -> PriorPrecision:
    prior = Prior(*torch.rand(4, N_COEF))
    return PriorPrecision(
        InverseProblem(CompactEncoder(N_COEF, 1), prior, torch.ones(1), recovered)
    )


def innovations(scale: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return innovations of this strength, as an inversion finds them (1 + T, C)."""
    z = torch.randn(2, 1 + len(ALL), N_COEF, generator=torch.Generator().manual_seed(0))
    return z[0] * scale + z[1] * noise


@pytest.mark.parametrize("recovered", [0.05, 0.3, 0.8])
def test_the_strength_is_found_even_if_little_power_is_recovered(recovered: float):
    noise = torch.full((N_COEF,), (1 / recovered - 1) ** 0.5)
    learnt, innovations_found = (
        create_precision(torch.full((N_COEF,), recovered)),
        innovations(TRUE, noise),
    )
    for _ in range(40):
        shrunk = 1 / (1 + learnt.precision * noise**2)
        learnt.update(innovations_found * shrunk, ALL)  # the likeliest
    weak, usual, strong, stronger = (
        learnt.precision[true == TRUE].rsqrt().mean() for true in (0.5, 1.0, 3.0, 10.0)
    )
    assert weak < usual == pytest.approx(1.0, abs=0.2)
    assert strong == pytest.approx(3.0, rel=0.15)
    assert stronger == pytest.approx(10.0, rel=0.15)


@pytest.mark.parametrize("recovered", [0.0, 0.01, 0.5, 1.0])
def test_innovations_as_in_movies_leave_the_precision_at_one(recovered: float):
    learnt = create_precision(torch.full((N_COEF,), recovered))
    z = torch.full((1 + len(ALL), N_COEF), recovered**0.5)
    learnt.update(z, ALL)
    as_in_movies = torch.ones(N_COEF)
    torch.testing.assert_close(learnt.precision, as_in_movies, rtol=0.04, atol=0.0)


def test_without_information_the_precision_stays_one():
    learnt = create_precision(torch.full((N_COEF,), 0.3))
    strong = innovations(10 * torch.ones(N_COEF), torch.zeros(N_COEF))
    learnt.update(strong, ALL)
    assert (learnt.precision < 1 / 25).all()
    learnt.update(strong, NONE)
    torch.testing.assert_close(learnt.precision, torch.ones(N_COEF))


def test_lost_and_newest_frames_do_not_count():
    information = ALL.clone()
    information[:100] = 0.0
    z = torch.ones(1 + len(ALL), N_COEF)
    z[0] = z[1:101] = z[-EXCLUDED_FRAMES:] = 1e3
    frames, squares = accumulate_power(z, information)
    assert frames == N_FRAMES - 100
    torch.testing.assert_close(squares, torch.full((N_COEF,), N_FRAMES - 100.0))


def test_the_strength_is_limited_to_a_factor_of_twenty():
    learnt = create_precision(torch.full((N_COEF,), 0.3))
    z = innovations(torch.full((N_COEF,), 1e3), torch.zeros(N_COEF))
    for _ in range(40):
        learnt.update(z, ALL)
    torch.testing.assert_close(learnt.precision, torch.full((N_COEF,), 1 / 20**2))


def test_a_window_of_newest_frames_changes_nothing():
    learnt = create_precision(torch.full((N_COEF,), 0.3))
    learnt.update(torch.full((1 + EXCLUDED_FRAMES // 2, N_COEF), 10.0), ALL[:6])
    torch.testing.assert_close(learnt.precision, torch.ones(N_COEF))


def test_a_fixed_prior_does_not_adapt():
    learnt = create_precision(None)
    learnt.update(innovations(TRUE, torch.zeros(N_COEF)), ALL)
    torch.testing.assert_close(learnt.precision, torch.ones(N_COEF))
