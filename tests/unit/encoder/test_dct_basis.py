"""Movies as DCT coefficients: low spatial frequencies pass unchanged."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.stimulus_space.axis import Axis
from rtrecon.stimulus_space.space import CONTRAST_LEVELS, MIDDLE_LEVEL, StimulusSpace
from rtrecon.stimulus_space.video import IMAGE_SHAPE, VIDEO
from tests.support.rounding import float32_tolerance

LOW = make_dct_basis()
N_PIXELS = math.prod(IMAGE_SHAPE)


@pytest.mark.parametrize("cutoff", [0.1, VIDEO.cutoff_cycles])
def test_the_basis_is_orthonormal(cutoff):
    low = make_dct_basis(VIDEO.with_cutoff(cutoff))
    np.testing.assert_allclose(
        low.vectors @ low.vectors.T,
        np.eye(low.n_coef),
        atol=float32_tolerance(N_PIXELS),
    )


def test_frequencies_are_sorted_and_below_the_cutoff():
    assert LOW.cycles_per_px[0] == 0
    assert (LOW.cycles_per_px.diff() >= 0).all()
    assert LOW.cycles_per_px[-1] < VIDEO.cutoff_cycles
    assert 400 < LOW.n_coef < 500  # of 2304 pixels


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_coefficients_are_unchanged_by_pixels_and_back(seed):
    generator = torch.Generator().manual_seed(seed)
    coef = 0.3 * torch.randn(3, LOW.n_coef, generator=generator)  # far from clipping
    # Sums over pixels that were rounded as numbers up to 255 and are divided by 60.
    tolerance = float32_tolerance(N_PIXELS, magnitude=255 / CONTRAST_LEVELS)
    found = LOW.from_pixels(LOW.to_pixels(coef))
    np.testing.assert_allclose(found, coef, rtol=0, atol=tolerance)


def test_all_frequencies_together_reproduce_any_frame():
    frames = (
        np.random.default_rng(0).integers(0, 256, (4, *IMAGE_SHAPE)).astype(np.uint8)
    )
    whole = make_dct_basis(VIDEO.with_cutoff(1.0))
    made = whole.to_pixels(whole.from_pixels(frames))
    np.testing.assert_allclose(
        made, frames, rtol=0, atol=float32_tolerance(N_PIXELS, magnitude=255)
    )


def test_a_grating_passes_below_the_cutoff_and_not_above():
    columns = np.arange(IMAGE_SHAPE[1])
    for cycles, kept in ((0.1, 1.0), (0.2, 1.0), (0.3, 0.0), (0.45, 0.0)):
        wave = 50 * np.cos(2 * np.pi * cycles * columns)
        frame = np.broadcast_to(MIDDLE_LEVEL + wave, (1, *IMAGE_SHAPE))
        made = LOW.to_pixels(LOW.from_pixels(frame))
        share = ((made - MIDDLE_LEVEL) ** 2).mean() / (wave**2).mean()
        assert share == pytest.approx(kept, abs=0.06)


def test_gray_is_zero_and_one_unit_is_sixty_gray_levels():
    gray = np.full((1, *IMAGE_SHAPE), MIDDLE_LEVEL)
    assert LOW.from_pixels(gray).abs().max() < 1e-4
    brighter = LOW.from_pixels(gray + CONTRAST_LEVELS)
    assert brighter[0, 0] == pytest.approx(np.sqrt(np.prod(IMAGE_SHAPE)), rel=1e-4)


def test_pixels_are_clipped_to_what_a_screen_shows():
    pixels = LOW.to_pixels(torch.full((1, LOW.n_coef), 20.0))
    assert pixels.min() == 0
    assert pixels.max() == 255


def test_categories_stay_as_they_are_and_ordered_axes_become_frequencies():
    space = StimulusSpace(
        name="touch",
        axes=(
            Axis("whisker", 3, "categories", labels=("A", "B", "C")),
            Axis("position", 8, unit="mm"),
        ),
        rate_hz=100.0,
        quantity="force",
        cutoff_cycles=0.15,
    )
    basis = make_dct_basis(space)
    assert basis.n_coef == 3 * 3  # 0, 1/16 and 2/16 cycles per position
    frame = np.full((1, *space.shape), MIDDLE_LEVEL)
    frame[0, 1] += CONTRAST_LEVELS
    coef = basis.from_pixels(frame)
    assert (coef.abs() > 1e-5).sum() == 1  # the mean of one whisker
    np.testing.assert_allclose(
        basis.to_pixels(coef), frame, atol=float32_tolerance(24, magnitude=255)
    )
