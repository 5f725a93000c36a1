"""RMSE, PSNR, SSIM and delay of movies whose difference is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.analysis.evaluation.image_similarity import (
    MAX_DELAY_FRAMES,
    estimate_delay_frames,
    peak_signal_to_noise_db,
    root_mean_square_error,
    structural_similarity,
)

SHAPE = (4, 36, 64)
DELAYS = (-5, 0, 3, 9)
# Flat frames have neither contrast nor structure: what is left is the luminance term,
# (2 a b + c) / (a a + b b + c) with c = (0.01 * 255) ** 2.
FLAT = {
    (100, 100): 1.0,
    (100, 150): 30006.5025 / 32506.5025,
    (0, 255): 6.5025 / 65031.5025,
}


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
    assert structural_similarity(movie, movie) == pytest.approx(1)


@pytest.mark.parametrize("grays", FLAT)
def test_structural_similarity_of_flat_frames_is_the_luminance_term(grays):
    a, b = map(flat, grays)
    assert structural_similarity(a, b) == pytest.approx(FLAT[grays])


def test_structural_similarity_is_symmetric_and_at_most_one(movie):
    other = movie[::-1]
    assert structural_similarity(movie, other) == pytest.approx(
        structural_similarity(other, movie)
    )
    assert structural_similarity(movie, other) < 0.1  # nothing in common


def test_structural_similarity_of_an_inverted_movie_is_negative(movie):
    assert structural_similarity(255 - movie, movie) < -0.5


def test_lower_contrast_reduces_structural_similarity_by_the_formula():
    # Of equal means, at half the contrast: (2 v / 2 + c) / (v + v / 4 + c), which is
    # 0.8 where the variance v is far above c.
    stripes = np.tile([0.0, 200.0], (4, 36, 32))
    half = 100 + (stripes - 100) / 2
    assert structural_similarity(half, stripes) == pytest.approx(0.8, abs=0.005)


def test_structural_similarity_equals_one_window_computed_by_hand():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0, 255, (2, 1, 11, 11))  # one whole window fits
    at = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(at, at) / at.sum() ** 2
    mean_a, mean_b = (window * a[0]).sum(), (window * b[0]).sum()
    var_a = (window * (a[0] - mean_a) ** 2).sum()
    var_b = (window * (b[0] - mean_b) ** 2).sum()
    both = (window * (a[0] - mean_a) * (b[0] - mean_b)).sum()
    c1, c2 = 2.55**2, 7.65**2
    expected = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    expected /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    assert structural_similarity(a, b) == pytest.approx(expected)


@pytest.mark.parametrize("delay", DELAYS)
def test_the_delay_between_movies_is_estimated(delay):
    long = np.random.default_rng(2).normal(size=(60 + 2 * MAX_DELAY_FRAMES, 8, 8))
    at = MAX_DELAY_FRAMES
    shown, made = long[at : at + 60], long[at - delay : at - delay + 60]
    assert estimate_delay_frames(made, shown) == delay


def test_movies_that_never_change_have_no_delay():
    assert np.isnan(estimate_delay_frames(flat(3), flat(4)))
