"""Frames as spatial frequencies: nothing that neurons could see is lost or bent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rtrecon.encoder.spectrum import CONTRAST, CUTOFF, GRAY, SHAPE, spectrum

LOW = spectrum()


@pytest.mark.parametrize("cutoff", [0.1, CUTOFF, 1.0])
def test_the_basis_is_orthonormal(cutoff):
    low = spectrum(cutoff)
    np.testing.assert_allclose(low.basis @ low.basis.T, np.eye(low.n_coef), atol=1e-5)


def test_frequencies_rise_up_to_the_cutoff():
    assert LOW.cycles[0] == 0
    assert (LOW.cycles.diff() >= 0).all()
    assert LOW.cycles[-1] < CUTOFF
    assert 400 < LOW.n_coef < 500  # of 2304 pixels


@given(st.integers(0, 2**32 - 1))
def test_coefficients_survive_the_way_to_pixels_and_back(seed):
    generator = torch.Generator().manual_seed(seed)
    coef = 0.3 * torch.randn(3, LOW.n_coef, generator=generator)  # far from clipping
    np.testing.assert_allclose(LOW.from_pixels(LOW.to_pixels(coef)), coef, atol=1e-4)


def test_every_frame_survives_where_no_frequency_is_left_out():
    frames = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype(np.uint8)
    whole = spectrum(1.0)
    made = whole.to_pixels(whole.from_pixels(frames))
    np.testing.assert_allclose(made, frames, atol=0.01)


def test_a_grating_is_kept_below_the_cutoff_and_gone_above():
    columns = np.arange(SHAPE[1])
    for cycles, kept in ((0.1, 1.0), (0.2, 1.0), (0.3, 0.0), (0.45, 0.0)):
        wave = 50 * np.cos(2 * np.pi * cycles * columns)
        frame = np.broadcast_to(GRAY + wave, (1, *SHAPE))
        made = LOW.to_pixels(LOW.from_pixels(frame))
        share = ((made - GRAY) ** 2).mean() / (wave**2).mean()
        assert share == pytest.approx(kept, abs=0.06)


def test_gray_is_zero_and_a_unit_of_contrast_is_sixty_levels():
    gray = np.full((1, *SHAPE), GRAY)
    assert LOW.from_pixels(gray).abs().max() < 1e-4
    brighter = LOW.from_pixels(gray + CONTRAST)
    assert brighter[0, 0] == pytest.approx(np.sqrt(np.prod(SHAPE)), rel=1e-4)


def test_pixels_stay_within_what_a_screen_shows():
    pixels = LOW.to_pixels(torch.full((1, LOW.n_coef), 20.0))
    assert pixels.min() == 0
    assert pixels.max() == 255
