"""Correlations of movies and neurons with known values."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.metrics.similarity import (
    frame_correlation,
    neuron_correlations,
    video_correlation,
)

RNG = np.random.default_rng(0)
MOVIE = RNG.integers(0, 256, (40, 9, 16)).astype(np.uint8)
NOISE = RNG.permutation(MOVIE.ravel()).reshape(MOVIE.shape).astype(float)

KNOWN = {
    "itself": (MOVIE, 1.0),
    "inverted": (255 - MOVIE, -1.0),
    "contrast and brightness do not matter": (MOVIE / 7.0 + 3.0, 1.0),
    "another movie": (RNG.integers(0, 256, MOVIE.shape), 0.0),
    "half noise": (MOVIE + NOISE, 0.707),
}


@pytest.mark.parametrize(("other", "expected"), KNOWN.values(), ids=KNOWN)
@pytest.mark.parametrize("correlation", [video_correlation, frame_correlation])
def test_correlations_have_their_known_values(correlation, other, expected):
    assert correlation(MOVIE, other.astype(float)) == pytest.approx(expected, abs=0.03)


def test_video_correlation_equals_numpy_over_all_pixels():
    noisy = MOVIE + RNG.normal(0, 60, MOVIE.shape)
    expected = np.corrcoef(MOVIE.ravel(), noisy.ravel())[0, 1]
    assert video_correlation(MOVIE, noisy) == pytest.approx(expected, abs=1e-12)


def test_brightness_over_time_counts_for_the_video_but_not_for_a_frame():
    flicker = np.linspace(0, 3000, len(MOVIE))[:, None, None]
    other = np.random.default_rng(5).integers(0, 256, MOVIE.shape)
    assert video_correlation(MOVIE + flicker, other + flicker) > 0.95
    assert abs(frame_correlation(MOVIE + flicker, other + flicker)) < 0.05


def test_only_pixels_in_the_mask_count():
    mask = np.zeros(MOVIE.shape[1:])
    mask[2:6, 3:9] = 0.5
    damaged = np.where(mask > 0, MOVIE, 0)
    assert video_correlation(MOVIE, damaged, mask) == pytest.approx(1)
    assert video_correlation(MOVIE, damaged) < 0.9


def test_a_blank_movie_correlates_with_nothing():
    blank = np.full(MOVIE.shape, 0.1)
    assert np.isnan(video_correlation(MOVIE, blank))
    assert np.isnan(frame_correlation(MOVIE, blank))


def test_blank_frames_are_left_out_of_the_mean():
    other = MOVIE.astype(float)
    other[::2] = 127
    assert frame_correlation(MOVIE, other) == pytest.approx(1)


def test_movies_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(40, 9, 16\) and \(39, 9, 16\)"):
        video_correlation(MOVIE, MOVIE[1:])


def test_each_neuron_uses_its_own_samples():
    a = RNG.normal(size=(300, 4))
    b = a * [1, -1, 1, 0] + [0, 0, 0, 0.1]
    b[:, 2] += RNG.normal(size=300)
    a[:100, 0] = np.nan
    b[200:, 1] = np.nan
    r = neuron_correlations(a, b)
    assert r[:3] == pytest.approx([1, -1, np.corrcoef(a[:, 2], b[:, 2])[0, 1]])
    assert np.isnan(r[3])  # does not vary


def test_neurons_without_samples_have_no_correlation():
    assert np.isnan(neuron_correlations(np.full((5, 2), np.nan), np.ones((5, 2)))).all()
