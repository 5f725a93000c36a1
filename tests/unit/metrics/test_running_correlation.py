"""Running correlations: the same as over the stored window, at constant cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrecon.metrics.running_correlation import (
    RunningNeuronCorrelation,
    RunningVideoCorrelation,
)
from rtrecon.metrics.similarity import neuron_correlations

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (900, 12, 16)).astype(np.uint8)
WINDOW_FRAMES = 600


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(2, 30), st.floats(0, 0.5))
def test_the_running_correlation_equals_that_of_the_window(n_samples, window, lost):
    rng = np.random.default_rng(n_samples)
    # Small whole numbers: all sums are exact in float64, in any order.
    a = rng.integers(-9, 10, (n_samples, 3)).astype(float)
    b = a + rng.integers(-9, 10, a.shape)
    a[rng.random(a.shape) < lost] = np.nan
    running = RunningNeuronCorrelation(n_neurons=3, window_frames=window)
    for sample_a, sample_b in zip(a, b, strict=True):
        running.add_sample(sample_a, sample_b)
    expected = neuron_correlations(a[-window:], b[-window:])
    np.testing.assert_allclose(running.per_neuron(), expected, rtol=1e-12)


def test_samples_that_left_the_window_do_not_count():
    running = RunningNeuronCorrelation(n_neurons=1, window_frames=50)
    signal = RNG.normal(size=(500, 1))
    for n, value in enumerate(signal):
        running.add_sample(value, -value if n < 400 else value)
    assert running.per_neuron() == pytest.approx(1)


def test_a_huge_sample_leaves_no_rounding_error_behind():
    running = RunningNeuronCorrelation(n_neurons=1, window_frames=20)
    signal = RNG.normal(size=(100, 1))
    signal[10] = 1e12
    for value in signal:
        running.add_sample(value, value)
    assert running.per_neuron() == pytest.approx(1)


def test_there_is_no_correlation_before_anything_varies():
    empty = RunningNeuronCorrelation(n_neurons=3, window_frames=10)
    assert np.isnan(empty.per_neuron()).all()


def test_only_finite_samples_in_the_window_are_counted():
    running = RunningNeuronCorrelation(n_neurons=2, window_frames=4)
    for i in range(7):
        sample = np.array([i, np.nan if i in {4, 6} else i])
        running.add_sample(np.ones(2), sample)
    assert running.count_samples().tolist() == [4, 2]


def test_only_the_newest_frames_of_a_video_count():
    running = RunningVideoCorrelation(WINDOW_FRAMES)
    running.add_frames(FRAMES[:100], 255 - FRAMES[:100])
    assert running.correlation() == pytest.approx(-1)
    a, b = FRAMES[:WINDOW_FRAMES, :8], FRAMES[-WINDOW_FRAMES:, :8] // 2
    b = a // 3 + b
    for start in range(0, WINDOW_FRAMES, 7):
        running.add_frames(a[start : start + 7], b[start : start + 7])
    expected = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    assert running.correlation() == pytest.approx(expected)


def test_no_frames_have_no_correlation():
    assert np.isnan(RunningVideoCorrelation(WINDOW_FRAMES).correlation())


@pytest.mark.parametrize("level", [0, 127, 100.3, 1 / 3, 0.1, 254.9])
def test_a_constant_movie_has_no_correlation(level):
    running = RunningVideoCorrelation(WINDOW_FRAMES)
    frames = FRAMES[:100]
    running.add_frames(frames, np.full(frames.shape, level, np.float32))
    assert np.isnan(running.correlation())


def test_a_movie_that_varies_less_than_the_limit_is_constant():
    a = FRAMES[:50].astype(float)
    for limit, is_constant in ((0.9, False), (1.1, True)):
        running = RunningVideoCorrelation(WINDOW_FRAMES, min_sd=limit)
        running.add_frames(a, a / a.std())
        assert np.isnan(running.correlation()) == is_constant
