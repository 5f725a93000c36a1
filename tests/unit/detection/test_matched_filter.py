"""Likeness is the weighted correlation that it is said to be."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.detection import matched_filter as module
from rtrecon.detection.matched_filter import likeness, likeness_of

SHAPE, PLACE = (50, 60), (22, 31)
SILENT = np.zeros(SHAPE)
IDEALS = {"disc": module.disc, "ring": module.ring}


def texture(seed=0):
    return 500 + np.random.default_rng(seed).normal(0, 3, SHAPE)


def patch_at(image, ideal):
    row, col = PLACE
    reach = ideal.reach
    return image[row - reach : row + reach + 1, col - reach : col + reach + 1]


@pytest.mark.parametrize("name", IDEALS)
@pytest.mark.parametrize("diameter_px", [5.0, 8.0, 12.5])
def test_it_is_a_weighted_correlation(name, diameter_px):
    ideal = IDEALS[name](diameter_px)
    patch, window = patch_at(texture(), ideal), ideal.window
    pairs = np.cov(patch.ravel(), ideal.pattern.ravel(), aweights=window.ravel())
    expected = pairs[0, 1] / np.sqrt(pairs[0, 0] * pairs[1, 1])
    assert likeness_of(patch, 0.0, ideal) == pytest.approx(expected)
    assert likeness(texture(), SILENT, ideal)[PLACE] == pytest.approx(expected)


@pytest.mark.parametrize("name", IDEALS)
def test_the_ideal_is_like_itself_in_any_light(name):
    ideal = IDEALS[name](10.0)
    for gain, offset in ((1.0, 0.0), (-2.0, 4000.0)):
        found = likeness_of(gain * ideal.pattern + offset, 0.0, ideal)
        assert found == pytest.approx(np.sign(gain), abs=1e-4)


@pytest.mark.parametrize(
    ("noise", "expected"), [(0.0, 1.0), (1.0, 0.5**0.5), (3.0, 0.1**0.5)]
)
def test_noise_is_doubt(noise, expected):
    """As much noise as pattern: half of the variance may be the noise's."""
    ideal = module.ring(10.0)
    assert likeness_of(ideal.pattern, noise, ideal) == pytest.approx(expected)


def test_a_ring_is_no_disc():
    ring, disc = module.ring(10.0), module.disc(10.0)
    assert abs(likeness_of(ring.pattern, 0.0, disc)) < 0.5


@pytest.mark.parametrize("corner", [(0, 0), (0, 59), (49, 0), (49, 59)])
def test_at_the_border_the_field_is_mirrored(corner):
    ideal = module.disc(8.0)
    padded = np.pad(texture(), ideal.reach, mode="symmetric")
    row, col = corner
    side = 2 * ideal.reach + 1
    patch = padded[row : row + side, col : col + side]
    expected = likeness_of(patch, 0.0, ideal)
    assert likeness(texture(), SILENT, ideal)[corner] == pytest.approx(expected)


def test_a_constant_field_is_like_nothing():
    assert np.abs(likeness(np.full(SHAPE, 7.0), SILENT, module.disc(8.0))).max() < 1e-3
