"""Registration of small, dim fields: 60 x 80 pixels with half a photon per pixel."""

import functools

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings
from rtrecon.imaging.registration.registrar import Registrar, make_template

SHAPE, PHOTONS, GAIN = (60, 80), 0.5, 60.0
N_FRAMES, N_TEMPLATE = 150, 80
SETTINGS = RegistrationSettings()
# (number, s.d. in px, height over the background) of cells.
WORLDS = {
    "few cells": (12, 2.5, 2.0),
    "faint cells": (25, 2.5, 1.2),
    "small cells": (30, 1.2, 2.0),
}


class DimField:
    """Gaussian cells on a uniform background; brightness is 1 on average."""

    def __init__(self, n_cells, sigma_px, height, seed=0):
        rng = np.random.default_rng(seed)
        self.positions = rng.uniform(-8, np.array(SHAPE) + 8, (n_cells, 2))
        self.heights = height * rng.uniform(0.3, 1.0, n_cells)
        self.sigma_px = sigma_px
        self.mean = self._render((0, 0)).mean()

    def _render(self, shift):
        rows, cols = (np.arange(side)[:, None] for side in SHAPE)
        y, x = (self.positions + shift).T
        along_y = np.exp(-0.5 * ((rows - y) / self.sigma_px) ** 2)
        along_x = np.exp(-0.5 * ((cols - x) / self.sigma_px) ** 2)
        return 1.0 + (along_y * self.heights) @ along_x.T

    def render_frame(self, rng, shift):
        photons = rng.poisson(PHOTONS * self._render(shift) / self.mean)
        return np.rint(GAIN * photons + rng.normal(0, 5, SHAPE)).astype(np.int16)


@functools.cache
def make_movie(world, seed=1):
    """Return frames, and their shifts (n, 2) in px."""
    rng = np.random.default_rng(seed)
    field = DimField(*WORLDS[world])
    shifts = rng.normal(0, 1.5, (N_FRAMES, 2)).clip(-6, 6)
    return np.array([field.render_frame(rng, shift) for shift in shifts]), shifts


@functools.cache
def make_dim_template(world):
    frames, _ = make_movie(world)
    return make_template(frames[:N_TEMPLATE], SETTINGS)


@pytest.mark.parametrize("world", WORLDS)
def test_nearly_all_dim_frames_are_registered_to_half_a_pixel(world):
    frames, shifts = make_movie(world)
    registrar = Registrar(make_dim_template(world), SETTINGS)
    found = [registrar.estimate_shift(frame) for frame in frames]
    is_accepted = np.array([one.is_accepted for one in found])
    assert is_accepted.mean() > 0.93  # half of them, with a limit for bright fields
    errors = np.array([(one.y_px, one.x_px) for one in found]) - shifts
    errors = errors[is_accepted] - np.median(errors[is_accepted], axis=0)
    assert np.sqrt((errors**2).mean(0)).max() < 0.7
    assert np.abs(errors).max() < 5.0  # no frame lies at another peak


def test_dim_frames_of_another_field_or_of_nothing_are_rejected():
    registrar = Registrar(make_dim_template("few cells"), SETTINGS)
    rng = np.random.default_rng(2)
    other = DimField(*WORLDS["few cells"], seed=9)
    strange = [other.render_frame(rng, (0, 0)) for _ in range(60)]
    empty = [GAIN * rng.poisson(PHOTONS, SHAPE) for _ in range(60)]
    for unrelated in (strange, empty):
        found = [registrar.estimate_shift(f.astype(np.int16)) for f in unrelated]
        assert sum(one.is_accepted for one in found) <= 1


def test_a_bright_frame_of_another_field_is_not_excused_as_dim():
    registrar = Registrar(make_dim_template("few cells"), SETTINGS)
    other = DimField(*WORLDS["few cells"], seed=9)
    bright = np.rint(30 * other.render_frame(np.random.default_rng(3), (0, 0)) / GAIN)
    smooth = np.rint(3000 * other._render((0, 0))).astype(np.int16)
    for frame in (bright.astype(np.int16), smooth):
        assert not registrar.estimate_shift(frame).is_accepted
