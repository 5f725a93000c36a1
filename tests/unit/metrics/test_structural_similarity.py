"""Structural similarity of movies whose difference is known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.metrics.structural_similarity import structural_similarity

SHAPE = (4, 36, 64)
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


def test_equal_movies_have_structural_similarity_one(movie):
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


def test_only_windows_centred_in_the_visual_field_count(movie):
    half = np.zeros(SHAPE[1:], bool)
    half[:, 10:32] = True
    damaged = movie.copy()
    damaged[:, :, 40:] = 0  # no window centred in the left half reaches it
    assert structural_similarity(damaged, movie, half) == pytest.approx(1)
    assert structural_similarity(damaged, movie) < 0.9


def test_a_visual_field_at_the_edge_of_the_screen_holds_no_whole_window(movie):
    edge = np.zeros(SHAPE[1:], bool)
    edge[:3] = True
    assert np.isnan(structural_similarity(movie, movie, edge))
