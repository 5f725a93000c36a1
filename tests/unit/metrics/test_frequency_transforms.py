"""Cosine transform and Gabor filters beside their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dct

from rtrecon.metrics.cosine_transform import cosine_frequencies, make_cosines
from rtrecon.metrics.evidence import MetricSetup
from rtrecon.metrics.frequency_bands import TEMPORAL_BANDS, TemporalBandCorrelation
from rtrecon.metrics.gabor_similarity import (
    FREQUENCIES,
    N_ORIENTATIONS,
    SIGMA_PERIODS,
    GaborPyramid,
)

SCREEN = np.ones((36, 64), bool)
Y, X = np.mgrid[:36, :64]


@pytest.mark.parametrize("n", [36, 60, 64])
def test_the_cosine_transform_is_that_of_scipy(n):
    signal = np.random.default_rng(0).normal(size=n)
    expected = dct(signal, norm="ortho")
    np.testing.assert_allclose(make_cosines(n) @ signal, expected, atol=1e-5)
    assert cosine_frequencies(n)[-1] < 0.5


@pytest.mark.parametrize(("hz", "band"), [(0.5, "low"), (2, "middle"), (8, "high")])
def test_flicker_is_in_its_temporal_band(hz, band):
    t_s = np.arange(60) / 30
    stimulus = (
        127 + 50 * np.cos(2 * np.pi * hz * (t_s + 1 / 60))[:, None, None] * SCREEN
    )
    pattern = np.random.default_rng(0).normal(0, 1, SCREEN.shape)
    movie = (stimulus + pattern).astype(np.float32)
    for name, limits in TEMPORAL_BANDS.items():
        score = TemporalBandCorrelation(MetricSetup(SCREEN), limits)
        score.add_frames(movie, stimulus.astype(np.float32), is_continued=False)
        if name == band:
            assert score.value() > 0.99
        elif name != "low":  # which holds brightness and pattern
            assert np.isnan(score.value())


def test_a_gabor_response_is_the_energy_of_two_filters():
    frame = np.random.default_rng(0).uniform(0, 255, (1, 36, 64))
    pyramid = GaborPyramid(SCREEN)
    responses = pyramid.respond(frame)
    assert responses.shape == (1, pyramid.n_responses)
    frequency = FREQUENCIES[0]
    sigma = SIGMA_PERIODS / frequency
    ny, nx = (round(side / sigma) for side in (36, 64))
    row, column, orientation = 1, 2, 1
    y = (row + 0.5) * 36 / ny - 0.5
    x = (column + 0.5) * 64 / nx - 0.5
    angle = np.pi * orientation / N_ORIENTATIONS
    along = (X - x) * np.cos(angle) + (Y - y) * np.sin(angle)
    envelope = np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * sigma**2))
    wave = envelope * np.exp(2j * np.pi * frequency * along) / (np.pi * sigma**2)
    expected = abs((wave * (frame[0] - frame.mean())).sum())
    found = responses[0, orientation * ny * nx + row * nx + column]
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("frequency", FREQUENCIES[1:])
def test_a_grating_drives_the_filters_of_its_frequency_and_orientation(frequency):
    pyramid = GaborPyramid((abs(Y - 18) < 6) & (abs(X - 32) < 16))
    grating = 127 + 50 * np.cos(2 * np.pi * frequency * Y)[None]
    responses = pyramid.respond(grating)[0]
    best = responses.max()
    # In gray levels: the grating's amplitude, where the whole filter is on the screen.
    assert best == pytest.approx(50, rel=0.1)
    turned = pyramid.respond(127 + 50 * np.cos(2 * np.pi * frequency * X)[None])[0]
    assert np.corrcoef(responses, turned)[0, 1] < 0.2


def test_filters_outside_the_visual_field_are_left_out():
    assert GaborPyramid(X < 32).n_responses < GaborPyramid(SCREEN).n_responses
    assert GaborPyramid(np.zeros_like(SCREEN)).n_responses == 0
