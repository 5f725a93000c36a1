"""Movies and neurons whose correlation is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtrecon.metrics.similarity import (
    RunningCorrelation,
    frame_correlation,
    pearson_per_neuron,
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
def test_known_correlations(correlation, other, expected):
    assert correlation(MOVIE, other.astype(float)) == pytest.approx(expected, abs=0.03)


def test_video_correlation_is_that_of_all_pixels_flattened():
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
    spoilt = np.where(mask > 0, MOVIE, 0)
    assert video_correlation(MOVIE, spoilt, mask) == pytest.approx(1)
    assert video_correlation(MOVIE, spoilt) < 0.9


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


def test_each_neuron_is_compared_over_its_own_samples():
    a = RNG.normal(size=(300, 4))
    b = a * [1, -1, 1, 0] + [0, 0, 0, 0.1]
    b[:, 2] += RNG.normal(size=300)
    a[:100, 0] = np.nan
    b[200:, 1] = np.nan
    r = pearson_per_neuron(a, b)
    assert r[:3] == pytest.approx([1, -1, np.corrcoef(a[:, 2], b[:, 2])[0, 1]])
    assert np.isnan(r[3])  # does not vary


def test_neurons_without_samples_have_no_correlation():
    assert np.isnan(pearson_per_neuron(np.full((5, 2), np.nan), np.ones((5, 2)))).all()


@given(st.integers(1, 90), st.integers(2, 30), st.floats(0, 0.5))
def test_running_is_the_same_as_looking_back(n_sample, window, lost):
    rng = np.random.default_rng(n_sample)
    a = rng.normal(5, 1, (n_sample, 3))
    b = a + rng.normal(size=a.shape)
    a[rng.random(a.shape) < lost] = np.nan
    running = RunningCorrelation(n_neuron=3, window_frames=window)
    for sample_a, sample_b in zip(a, b, strict=True):
        running.update(sample_a, sample_b)
    expected = pearson_per_neuron(a[-window:], b[-window:])
    np.testing.assert_allclose(running.per_neuron(), expected, atol=1e-6)


def test_running_forgets_what_left_the_window():
    running = RunningCorrelation(n_neuron=1, window_frames=50)
    signal = RNG.normal(size=(500, 1))
    for n, value in enumerate(signal):
        running.update(value, -value if n < 400 else value)
    assert running.mean() == pytest.approx(1)


def test_running_survives_a_huge_sample():
    running = RunningCorrelation(n_neuron=1, window_frames=20)
    signal = RNG.normal(size=(100, 1))
    signal[10] = 1e12
    for value in signal:
        running.update(value, value)
    assert running.mean() == pytest.approx(1)


def test_running_has_no_mean_before_anything_varies():
    assert np.isnan(RunningCorrelation(n_neuron=3, window_frames=10).mean())
