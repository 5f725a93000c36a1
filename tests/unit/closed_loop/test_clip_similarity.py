"""Likeness to a clip: a clip hidden in a movie is found, wherever it lies."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.closed_loop.clip_similarity import Target

SHAPE = (9, 16)
RNG = np.random.default_rng(0)


def movie(n_frames: int) -> np.ndarray:
    return RNG.integers(0, 256, (n_frames, *SHAPE)).astype(np.uint8)


def twin(window: np.ndarray, clip: np.ndarray) -> float:
    """Every place tried with numpy's own correlation."""
    short, long = sorted((window.astype(float), clip.astype(float)), key=len)
    n = len(short)
    return max(
        np.corrcoef(short.ravel(), long[k : k + n].ravel())[0, 1]
        for k in range(len(long) - n + 1)
    )


@pytest.mark.parametrize(("n_window", "n_clip"), [(5, 12), (12, 5), (6, 6), (4, 1)])
def test_it_is_the_best_correlation_of_any_place(n_window, n_clip):
    window, clip = movie(n_window), movie(n_clip)
    found = Target(clip).likeness(window)
    assert found == pytest.approx(twin(window, clip), abs=1e-5)


@pytest.mark.parametrize("start", [0, 3, 15])
def test_a_clip_that_is_shown_is_found_through_noise_and_contrast(start):
    clip = movie(20)
    shown = clip[start : start + 5].astype(float)
    noisy = 128 + 0.2 * (shown - 128) + RNG.normal(0, 8, shown.shape)
    assert Target(clip).likeness(noisy.astype(np.uint8)) > 0.8
    assert abs(Target(clip).likeness(movie(5))) < 0.2


def test_a_movie_that_shows_nothing_is_like_nothing():
    grey = np.full((5, *SHAPE), 90, np.uint8)
    assert np.isnan(Target(movie(8)).likeness(grey))


def test_places_where_the_clip_shows_nothing_do_not_count():
    window, clip = movie(4), movie(12)
    clip[:5] = 128
    own = clip.copy()
    own[5:9] = window
    assert Target(own).likeness(window) == pytest.approx(1.0)
