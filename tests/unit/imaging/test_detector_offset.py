"""The detector offset, where it is known."""

import numpy as np
import pytest
from scipy.stats import theilslopes

from rtrecon.imaging.traces.detector_offset import (
    estimate_detector_offset,
    fit_robust_slope,
)

SHAPE, N_FRAMES = (96, 96), 60


def tissue():
    """(lines, pixels) photons per frame: dim and bright, nowhere zero."""
    rows, cols = np.mgrid[:96, :96] / 96
    return 0.4 + 2.0 * rows + np.sin(9 * cols) ** 2


def make_frames(offset, gain, read_noise, dtype=np.int16):
    rng = np.random.default_rng(0)
    photons = rng.poisson(tissue(), (N_FRAMES, *SHAPE))
    noise = read_noise * rng.normal(size=photons.shape)
    return np.rint(offset + gain * photons + noise).astype(dtype)


# Detector offset, gain, read noise, in counts; subtracted by the microscope or not.
DETECTORS = {
    "taken off": (0.0, 60.0, 5.0),
    "left on": (40.0, 60.0, 12.0),
    "too much taken off": (-120.0, 60.0, 5.0),
    "a low gain": (100.0, 8.0, 1.0),
}


@pytest.mark.parametrize("n_points", [5, 40, 41])
def test_the_robust_slope_equals_scipys(n_points):
    rng = np.random.default_rng(n_points)
    x = rng.permutation(n_points) + rng.random()
    y = 3 * x + rng.normal(0, 2, n_points)
    slope, _, low, high = theilslopes(y, x)
    assert fit_robust_slope(x, y) == pytest.approx((slope, low, high))


@pytest.mark.parametrize("name", DETECTORS)
def test_a_known_detector_offset_is_recovered(name):
    offset, gain, read_noise = DETECTORS[name]
    found = estimate_detector_offset(make_frames(offset, gain, read_noise))
    # Read noise is mistaken for light, downwards.
    expected = offset - read_noise**2 / gain
    assert found.counts == pytest.approx(expected, abs=0.1 * gain)
    assert abs(found.counts - expected) < 2 * found.error_counts
    assert found.counts_per_photon == pytest.approx(gain, rel=0.05)


def test_motion_and_flashes_hardly_change_the_estimate():
    rng = np.random.default_rng(1)
    light = [np.roll(tissue(), rng.integers(-2, 3), 0) for _ in range(N_FRAMES)]
    light[20] = 5 * light[20]
    movie = 40 + 60 * rng.poisson(light)
    assert estimate_detector_offset(movie.astype(np.int16)).counts == pytest.approx(
        40, abs=12
    )


def test_without_evidence_there_is_no_estimate():
    movie = make_frames(40.0, 60.0, 12.0)
    assert estimate_detector_offset(movie[:5]) is None
    assert estimate_detector_offset(movie[:, :8, :8]) is None
    assert estimate_detector_offset(np.zeros_like(movie)) is None
    rng = np.random.default_rng(0)
    noise_alone = rng.normal(300 + 60 * tissue(), 20, movie.shape)
    assert estimate_detector_offset(noise_alone.astype(np.int16)) is None


def test_no_pixel_is_darker_than_the_detector_offset():
    movie = np.maximum(make_frames(-60.0, 60.0, 5.0), 0)  # cut off by the microscope
    assert estimate_detector_offset(movie).counts <= movie.mean(0).min() + 10
