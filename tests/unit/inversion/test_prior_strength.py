"""How strong coefficients are, learnt in a world where it is known."""

from __future__ import annotations

import pytest
import torch

from rtrecon.encoder.compact import Compact
from rtrecon.encoder.prior import Prior
from rtrecon.inversion.live.prior_strength import YOUNG_FRAMES, Amplitudes, settled
from rtrecon.inversion.objective import Problem

N_COEF, N_FRAMES = 64, 400
TRUE = torch.tensor([0.5, 1.0, 3.0, 10.0]).repeat(N_COEF // 4)  # times as in movies
ALL = torch.ones(YOUNG_FRAMES + N_FRAMES)
NONE = torch.zeros_like(ALL)


def amplitudes(heard: torch.Tensor | None) -> Amplitudes:
    prior = Prior(*torch.rand(4, N_COEF))
    return Amplitudes(Problem(Compact(N_COEF, 1), prior, torch.ones(1), heard))


def innovations(scale: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """As they were, and as activity tells of them: (1 + T, C)."""
    z = torch.randn(2, 1 + len(ALL), N_COEF, generator=torch.Generator().manual_seed(0))
    return z[0] * scale + z[1] * noise


@pytest.mark.parametrize("heard", [0.05, 0.3, 0.8])
def test_strengths_are_found_though_little_is_heard(heard: float):
    noise = torch.full((N_COEF,), (1 / heard - 1) ** 0.5)
    learnt, told = amplitudes(torch.full((N_COEF,), heard)), innovations(TRUE, noise)
    for _ in range(40):
        shrunk = 1 / (1 + learnt.precision * noise**2)
        learnt.learn(told * shrunk, ALL)  # the likeliest
    weak, usual, strong, stronger = (
        learnt.precision[true == TRUE].rsqrt().mean() for true in (0.5, 1.0, 3.0, 10.0)
    )
    assert weak < usual == pytest.approx(1.0, abs=0.2)
    assert strong == pytest.approx(3.0, rel=0.15)
    assert stronger == pytest.approx(10.0, rel=0.15)


@pytest.mark.parametrize("heard", [0.0, 0.01, 0.5, 1.0])
def test_what_is_as_in_movies_stays_as_in_movies(heard: float):
    learnt = amplitudes(torch.full((N_COEF,), heard))
    z = torch.full((1 + len(ALL), N_COEF), heard**0.5)
    learnt.learn(z, ALL)
    as_in_movies = torch.ones(N_COEF)
    torch.testing.assert_close(learnt.precision, as_in_movies, rtol=0.04, atol=0.0)


def test_what_nothing_is_told_of_is_taken_to_be_as_in_movies():
    learnt = amplitudes(torch.full((N_COEF,), 0.3))
    strong = innovations(10 * torch.ones(N_COEF), torch.zeros(N_COEF))
    learnt.learn(strong, ALL)
    assert (learnt.precision < 1 / 25).all()
    learnt.learn(strong, NONE)
    torch.testing.assert_close(learnt.precision, torch.ones(N_COEF))


def test_frames_lost_and_frames_too_young_do_not_count():
    told = ALL.clone()
    told[:100] = 0.0
    z = torch.ones(1 + len(ALL), N_COEF)
    z[0] = z[1:101] = z[-YOUNG_FRAMES:] = 1e3
    frames, squares = settled(z, told)
    assert frames == N_FRAMES - 100
    torch.testing.assert_close(squares, torch.full((N_COEF,), N_FRAMES - 100.0))


def test_nothing_is_taken_to_be_more_than_twenty_times_as_strong():
    learnt = amplitudes(torch.full((N_COEF,), 0.3))
    told = innovations(torch.full((N_COEF,), 1e3), torch.zeros(N_COEF))
    for _ in range(40):
        learnt.learn(told, ALL)
    torch.testing.assert_close(learnt.precision, torch.full((N_COEF,), 1 / 20**2))


def test_a_window_that_is_all_young_teaches_nothing():
    learnt = amplitudes(torch.full((N_COEF,), 0.3))
    learnt.learn(torch.full((1 + YOUNG_FRAMES // 2, N_COEF), 10.0), ALL[:6])
    torch.testing.assert_close(learnt.precision, torch.ones(N_COEF))


def test_a_prior_that_is_held_to_learns_nothing():
    learnt = amplitudes(None)
    learnt.learn(innovations(TRUE, torch.zeros(N_COEF)), ALL)
    torch.testing.assert_close(learnt.precision, torch.ones(N_COEF))
