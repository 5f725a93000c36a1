"""RMSE, PSNR and delay of movies whose difference is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.analysis.evaluation.image_similarity import (
    MAX_DELAY_FRAMES,
    estimate_delay_frames,
    peak_signal_to_noise_db,
    root_mean_square_error,
)

SHAPE = (4, 36, 64)
DELAYS = (-5, 0, 3, 9)


@pytest.fixture(scope="module")
def movie() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, SHAPE)


def flat(gray: float) -> np.ndarray:
    return np.full(SHAPE, gray, np.float32)


def test_a_constant_offset_equals_the_root_mean_square_error(movie):
    assert root_mean_square_error(movie + 25.5, movie) == pytest.approx(25.5)
    assert peak_signal_to_noise_db(movie + 25.5, movie) == pytest.approx(
        20
    )  # 255 / 25.5 is 10


def test_equal_movies_have_no_error(movie):
    assert root_mean_square_error(movie, movie) == 0
    assert peak_signal_to_noise_db(movie, movie) == np.inf


@pytest.mark.parametrize("delay", DELAYS)
def test_the_delay_between_movies_is_estimated(delay):
    long = np.random.default_rng(2).normal(size=(60 + 2 * MAX_DELAY_FRAMES, 8, 8))
    at = MAX_DELAY_FRAMES
    shown, made = long[at : at + 60], long[at - delay : at - delay + 60]
    assert estimate_delay_frames(made, shown) == delay


def test_movies_that_never_change_have_no_delay():
    assert np.isnan(estimate_delay_frames(flat(3), flat(4)))
