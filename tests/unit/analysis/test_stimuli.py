"""Unusual stimuli have the contrast, smoothness and speed that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.analysis.evaluation import stimuli


def test_inverted_contrast_mirrors_gray_levels_around_the_mean():
    movie = stimuli.make_noise(20, (3.0, 2.0), 1).clip(40, 120)
    about = 2 * movie.mean() - movie
    np.testing.assert_allclose(stimuli.invert_contrast(movie), about, atol=0.5)


def test_scaled_contrast_keeps_the_mean():
    movie = stimuli.make_noise(20, (3.0, 2.0), 1)
    low = stimuli.scale_contrast(movie, 0.4)
    assert low.mean() == pytest.approx(movie.mean(), abs=0.1)
    assert low.std() == pytest.approx(0.4 * movie.std(), rel=0.02)


def test_noise_has_the_requested_smoothness():
    """Of a Gaussian of s.d. s, r between neighbours d apart is exp(-d^2 / 4 s^2)."""
    noise = stimuli.make_noise(200, (4.0, 2.0), 2).astype(float)
    px = np.corrcoef(noise[..., :-4].ravel(), noise[..., 4:].ravel())[0, 1]
    frames = np.corrcoef(noise[:-2].ravel(), noise[2:].ravel())[0, 1]
    assert px == pytest.approx(np.exp(-1 / 4), abs=0.05)
    assert frames == pytest.approx(np.exp(-1 / 4), abs=0.05)


def test_a_grating_drifts_at_the_requested_speed():
    one_px_per_frame = stimuli.make_grating(10, 0.0625, 0.0625, 0.0).astype(int)
    np.testing.assert_allclose(
        one_px_per_frame[1:, :, 1:], one_px_per_frame[:-1, :, :-1], atol=1
    )
