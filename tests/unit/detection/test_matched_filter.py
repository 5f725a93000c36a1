"""Correlation with a matched filter is a weighted correlation."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.detection import matched_filter as module
from rtrecon.detection.matched_filter import correlate_image, correlate_patch

SHAPE, PIXEL = (50, 60), (22, 31)
NO_NOISE = np.zeros(SHAPE)
FILTERS = {"disc": module.make_disc_filter, "ring": module.make_ring_filter}


def texture(seed=0):
    return 500 + np.random.default_rng(seed).normal(0, 3, SHAPE)


def cut_patch(image, matched_filter):
    row, col = PIXEL
    reach = matched_filter.reach
    return image[row - reach : row + reach + 1, col - reach : col + reach + 1]


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("diameter_px", [5.0, 8.0, 12.5])
def test_the_result_is_a_weighted_correlation(name, diameter_px):
    matched_filter = FILTERS[name](diameter_px)
    patch, window = cut_patch(texture(), matched_filter), matched_filter.window
    pairs = np.cov(
        patch.ravel(), matched_filter.pattern.ravel(), aweights=window.ravel()
    )
    expected = pairs[0, 1] / np.sqrt(pairs[0, 0] * pairs[1, 1])
    assert correlate_patch(patch, 0.0, matched_filter) == pytest.approx(expected)
    assert correlate_image(texture(), NO_NOISE, matched_filter)[PIXEL] == pytest.approx(
        expected
    )


@pytest.mark.parametrize("name", FILTERS)
def test_the_pattern_correlates_with_itself_at_any_gain_and_offset(name):
    matched_filter = FILTERS[name](10.0)
    for gain, offset in ((1.0, 0.0), (-2.0, 4000.0)):
        found = correlate_patch(
            gain * matched_filter.pattern + offset, 0.0, matched_filter
        )
        assert found == pytest.approx(np.sign(gain), abs=1e-4)


@pytest.mark.parametrize(
    ("noise", "expected"), [(0.0, 1.0), (1.0, 0.5**0.5), (3.0, 0.1**0.5)]
)
def test_noise_reduces_the_correlation(noise, expected):
    """With as much noise as pattern, half of the variance may be noise."""
    matched_filter = module.make_ring_filter(10.0)
    assert correlate_patch(
        matched_filter.pattern, noise, matched_filter
    ) == pytest.approx(expected)


def test_a_ring_correlates_little_with_a_disc():
    ring, disc = module.make_ring_filter(10.0), module.make_disc_filter(10.0)
    assert abs(correlate_patch(ring.pattern, 0.0, disc)) < 0.5


@pytest.mark.parametrize("corner", [(0, 0), (0, 59), (49, 0), (49, 59)])
def test_the_border_mirrors_the_field(corner):
    matched_filter = module.make_disc_filter(8.0)
    padded = np.pad(texture(), matched_filter.reach, mode="symmetric")
    row, col = corner
    side = 2 * matched_filter.reach + 1
    patch = padded[row : row + side, col : col + side]
    expected = correlate_patch(patch, 0.0, matched_filter)
    assert correlate_image(texture(), NO_NOISE, matched_filter)[
        corner
    ] == pytest.approx(expected)


def test_a_constant_field_correlates_with_nothing():
    assert (
        np.abs(
            correlate_image(np.full(SHAPE, 7.0), NO_NOISE, module.make_disc_filter(8.0))
        ).max()
        < 1e-3
    )
