"""Similarity to a clip: a clip in a movie is found, wherever it lies in time."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.closed_loop.clip_similarity import ClipMatcher

SHAPE = (9, 16)
RNG = np.random.default_rng(0)


def random_movie(n_frames: int) -> np.ndarray:
    return RNG.integers(0, 256, (n_frames, *SHAPE)).astype(np.uint8)


def slow_best_correlation(window: np.ndarray, clip: np.ndarray) -> float:
    """The same, with numpy's correlation at every offset."""
    short, long = sorted((window.astype(float), clip.astype(float)), key=len)
    n = len(short)
    return max(
        np.corrcoef(short.ravel(), long[k : k + n].ravel())[0, 1]
        for k in range(len(long) - n + 1)
    )


@pytest.mark.parametrize(("n_window", "n_clip"), [(5, 12), (12, 5), (6, 6), (4, 1)])
def test_the_similarity_is_the_best_correlation_of_all_offsets(n_window, n_clip):
    window, clip = random_movie(n_window), random_movie(n_clip)
    best = ClipMatcher(clip).best_correlation(window)
    assert best == pytest.approx(slow_best_correlation(window, clip), abs=1e-5)


@pytest.mark.parametrize("start", [0, 3, 15])
def test_a_clip_is_found_in_spite_of_noise_and_low_contrast(start):
    clip = random_movie(20)
    segment = clip[start : start + 5].astype(float)
    noisy = 128 + 0.2 * (segment - 128) + RNG.normal(0, 8, segment.shape)
    assert ClipMatcher(clip).best_correlation(noisy.astype(np.uint8)) > 0.8
    assert abs(ClipMatcher(clip).best_correlation(random_movie(5))) < 0.2


def test_a_movie_of_one_gray_level_has_no_similarity():
    gray = np.full((5, *SHAPE), 90, np.uint8)
    assert np.isnan(ClipMatcher(random_movie(8)).best_correlation(gray))


def test_offsets_at_which_the_clip_is_gray_are_left_out():
    window, clip = random_movie(4), random_movie(12)
    clip[:5] = 128
    joined = clip.copy()
    joined[5:9] = window
    assert ClipMatcher(joined).best_correlation(window) == pytest.approx(1.0)
