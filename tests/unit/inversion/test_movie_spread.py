"""Standard deviation of the live movie, from samples whose variance is known."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.inversion.live.movie_spread import MIN_HOPS, MovieSpread, average_by_age
from rtrecon.stimulus_space.video import VIDEO

SHAPE, WINDOW, HOP = (6, 8), 20, 5
N_AGES = WINDOW // HOP
RATIO = np.ones((N_AGES, *SHAPE))
PRIOR_SD = np.full(SHAPE, 50.0)
WHOLE = np.ones(WINDOW)


def add_samples(
    spread: MovieSpread, sd: float, recorded: np.ndarray = WHOLE, n_hops: int = 400
) -> MovieSpread:
    rng = np.random.default_rng(0)
    for _ in range(n_hops):
        difference = rng.normal(0, sd, (WINDOW, SHAPE[0] * SHAPE[1]))
        spread.add_hop(difference, recorded)
    return spread


def test_newest_frames_come_first():
    by_age = average_by_age(np.arange(WINDOW), HOP)
    assert by_age.tolist() == [17, 12, 7, 2]


def test_sd_is_that_of_the_samples():
    sd = add_samples(MovieSpread(RATIO, HOP, VIDEO), 20.0).compute_sd(PRIOR_SD)
    assert sd is not None
    assert sd.shape == (N_AGES, *SHAPE)
    assert sd == pytest.approx(20.0, rel=0.1)


def test_errors_larger_than_the_samples_enlarge_the_sd():
    ratio = RATIO * np.array([1, 4, 9, 16])[:, None, None]
    sd = add_samples(MovieSpread(ratio, HOP, VIDEO), 10.0).compute_sd(PRIOR_SD)
    assert sd is not None
    assert sd.mean((1, 2)) == pytest.approx([10, 20, 30, 40], rel=0.05)


def test_ages_are_those_of_calibration_whatever_the_hop():
    ratio = RATIO * np.array([1, 4, 9, 16])[:, None, None]
    sd = add_samples(MovieSpread(ratio, 10, VIDEO), 10.0).compute_sd(PRIOR_SD)
    assert sd is not None
    assert sd.mean((1, 2)) == pytest.approx([10, 30], rel=0.05)


@pytest.mark.parametrize(("recorded", "expected"), [(1, 30), (0.5, 41.2), (0, 50)])
def test_the_prior_takes_the_share_of_lost_activity(recorded: float, expected: float):
    spread = add_samples(MovieSpread(RATIO, HOP, VIDEO), 30.0, recorded * WHOLE)
    sd = spread.compute_sd(PRIOR_SD)
    assert sd is not None
    assert sd.mean() == pytest.approx(expected, rel=0.03)


def test_lost_activity_never_makes_the_movie_surer():
    spread = add_samples(MovieSpread(RATIO, HOP, VIDEO), 80.0, 0 * WHOLE)
    sd = spread.compute_sd(PRIOR_SD)
    assert sd is not None
    assert sd.mean() == pytest.approx(80.0, rel=0.03)


def test_a_few_hops_say_nothing():
    spread = add_samples(MovieSpread(RATIO, HOP, VIDEO), 20.0, n_hops=MIN_HOPS - 1)
    assert spread.compute_sd(PRIOR_SD) is None
    assert add_samples(spread, 20.0, n_hops=1).compute_sd(PRIOR_SD) is not None
