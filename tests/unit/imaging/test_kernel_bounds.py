"""Kernels never index outside their arrays, whatever the shift.

The compiled kernels do not check indices. Here the same Python code runs uncompiled on
arrays that raise an error for every index outside them, or below zero.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings
from rtrecon.imaging.registration import kernels
from rtrecon.imaging.registration.nonrigid import _smooth_path
from rtrecon.imaging.registration.registrar import Registrar
from rtrecon.imaging.registration.rigid import fit_parabola_peak
from rtrecon.imaging.traces import deconvolution_ar2
from rtrecon.imaging.traces import kernels as trace_kernels
from rtrecon.testing.synthetic_field import make_field

SHAPE = (12, 17)
# px: inside, at and beyond the border, far away, and as large as an index can be
SHIFTS = [0, 1, -1, 5, -10, 11, 12, -12, 16, 17, -18, 70, -300, 2**40, -(2**62)]
FRACTIONAL_SHIFTS = [0.0, 0.5, -0.25, 11.5, -12.5, 17.0, -16.5, 70.3, -1e9, 1e15]


class StrictArray(np.ndarray):
    """An array that accepts no integer index outside it, not even a negative one."""

    def __getitem__(self, key):
        self._check(key)
        return super().__getitem__(key)

    def __setitem__(self, key, value):
        self._check(key)
        super().__setitem__(key, value)

    def _check(self, key):
        keys = key if isinstance(key, tuple) else (key,)
        for index, size in zip(keys, self.shape, strict=False):
            if isinstance(index, int | np.integer) and not 0 <= index < size:
                raise IndexError(f"index {index} outside of {size}")


def strict(array):
    return np.asarray(array).view(StrictArray)


def noise(shape, seed=0):
    values = np.random.default_rng(seed).normal(100, 30, shape)
    return strict(values.astype(np.float32))


def integral(values):
    padded = np.pad(np.asarray(values, float), ((1, 0), (1, 0)))
    return strict(padded.cumsum(0).cumsum(1))


@pytest.fixture
def uncompiled(monkeypatch):
    """Return a function that gives a kernel's Python code, and that of its helpers."""
    for name in ("_sum_window", "_normalize_product", "_shift_line"):
        monkeypatch.setattr(kernels, name, getattr(kernels, name).py_func)
    monkeypatch.setattr(trace_kernels, "_read_jump", trace_kernels._read_jump.py_func)
    return lambda kernel: kernel.py_func


@pytest.fixture
def pattern():
    pattern = noise(SHAPE, seed=1)
    return pattern, integral(pattern), integral(np.square(pattern, dtype=float))


def overlaps(y, x):
    """Return whether the shift and all its neighbours leave an overlap."""
    return abs(y) < SHAPE[0] - 1 and abs(x) < SHAPE[1] - 1


def test_strict_arrays_refuse_indices_outside():
    values = strict(np.zeros(3))
    for index in (-1, 3):
        with pytest.raises(IndexError):
            values[index]


@pytest.mark.parametrize("y", SHIFTS)
def test_correlate_neighbors_stays_inside_for_every_shift(uncompiled, pattern, y):
    correlate = uncompiled(kernels.correlate_neighbors)
    for x in SHIFTS:
        out = strict(np.full(5, np.nan))
        correlate(noise(SHAPE), 100.0, *pattern, y, x, out)
        assert np.isfinite(out).all()
        assert out.any() == overlaps(y, x)


@pytest.mark.parametrize("y", SHIFTS)
@pytest.mark.parametrize("reach", [1, 2])
def test_correlate_strips_stays_inside_for_every_shift(uncompiled, pattern, y, reach):
    correlate, side = uncompiled(kernels.correlate_strips), 2 * reach + 1
    for x in SHIFTS:
        centers = strict(np.array([(y, x), (0, 0), (x, y)]))
        line, out = strict(np.empty(SHAPE[1], "f4")), strict(np.empty((3, side, side)))
        correlate(noise(SHAPE), 100.0, *pattern, centers, line, out)
        assert np.isfinite(out).all()
        assert out[1].any()


def test_undo_shifts_stays_inside_for_every_shift(uncompiled):
    frame, line = noise(SHAPE), strict(np.empty(SHAPE[1], np.float32))
    for shift in product(FRACTIONAL_SHIFTS, repeat=2):
        out = strict(np.full(SHAPE, np.nan, np.float32))
        uncompiled(kernels.undo_shifts)(frame, strict([shift] * SHAPE[0]), line, out)
        assert out.min() >= frame.min() - 1e-3
        assert out.max() <= frame.max() + 1e-3


@pytest.mark.parametrize("offset", FRACTIONAL_SHIFTS)
def test_correct_scan_phase_stays_inside_for_every_offset(uncompiled, offset):
    out = strict(np.full(SHAPE, np.nan, np.float32))
    uncompiled(kernels.correct_scan_phase)(noise(SHAPE), offset, out)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("margins", [(0, 0), (1, 1), (3, 4), (5, 8)])
def test_the_search_stays_inside_for_every_range(uncompiled, pattern, margins):
    centered = strict(np.zeros(SHAPE, np.float32))
    uncompiled(kernels.center_image)(noise(SHAPE), -50.0, 50.0, margins, centered)
    scales = strict(np.ones((2 * margins[0] + 1, 2 * margins[1] + 1), np.float32))
    out = strict(np.full(scales.shape, np.nan, np.float32))
    uncompiled(kernels.correlate_all_shifts)(centered, pattern[0], scales, out)
    assert np.isfinite(out).all()


def test_other_registration_kernels_stay_inside(uncompiled):
    half = strict(np.empty((SHAPE[0] // 2, SHAPE[1] // 2), np.float32))
    uncompiled(kernels.halve_image)(noise(SHAPE), half)
    mean = noise(SHAPE, seed=2)
    uncompiled(kernels.update_mean)(mean, noise(SHAPE), 0.5)
    constant = strict(np.zeros(SHAPE, np.int16))
    assert uncompiled(kernels.count_constant_lines)(constant) == SHAPE[0]
    assert np.isfinite(half).all()
    assert np.isfinite(mean).all()


VALUES = {
    "noise": np.random.default_rng(0).normal(size=(80, 3)),
    "missing": np.full((80, 3), np.nan),
    "falling": np.linspace(1, -1, 80)[:, None].repeat(3, 1),
    "rising": np.linspace(-1, 1, 80)[:, None].repeat(3, 1),
    "infinite": np.where(np.arange(240).reshape(80, 3) % 7, 0.5, np.inf),
    "huge": 1e30 * np.random.default_rng(1).normal(size=(80, 3)),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("lag", [0, 16])
@pytest.mark.parametrize("name", VALUES)
def test_ar1_deconvolution_stays_inside_for_all_values(uncompiled, name, lag):
    powers = strict((0.9 ** np.arange(20)).astype(np.float32))
    pools = strict(np.zeros((3, 32, 3), np.float32))
    newest, n_pools = strict(np.zeros(3, np.int64)), strict(np.zeros(3, np.int64))
    missing = strict(np.full(3, 2**32 - 1, np.uint32))
    denoised, out = strict(np.empty(3, "f4")), strict(np.empty(3, "f4"))
    deconvolve = uncompiled(trace_kernels.deconvolve_ar1)
    for values in VALUES[name].astype(np.float32):
        state = pools, newest, n_pools, missing
        deconvolve(strict(values), powers, lag, *state, denoised, out)
    assert (n_pools >= 0).all()


def test_other_trace_kernels_stay_inside(uncompiled):
    out = strict(np.zeros(3, np.float32))
    index = strict(np.array([0, 5, 11, 3, 2, 7], np.uint32))
    indptr = strict(np.array([0, 5, 5, 6]))
    weights = strict(np.ones(6, np.float32))
    uncompiled(trace_kernels.sum_weighted_masks)(
        noise(12), strict(np.arange(3)), indptr, index, weights, out
    )
    crosstalk = indptr, strict(np.array([1, 2, 1, 2, 1, 0], np.uint32)), weights
    cell, above = noise(3), strict(np.empty(3, np.float32))
    uncompiled(trace_kernels.demix_cells)(noise(3), crosstalk, 2, above, cell)
    history = [strict(np.zeros((5, 3), np.float32)) for _ in range(3)]
    response = strict(np.ones(5, np.float32))
    uncompiled(deconvolution_ar2.sweep_activity)(
        response, response, *history, strict(np.empty(3, np.float32))
    )
    assert np.isfinite(out).all()


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e9, 1e300])
def test_a_parabola_peaks_within_its_three_samples(scale):
    rng = np.random.default_rng(0)
    for values in scale * rng.normal(size=(300, 3)):
        position, rise = fit_parabola_peak(*values)
        assert -1 <= position <= 1
        assert np.isfinite(rise)


def test_a_nearly_flat_slope_has_a_bounded_peak():
    assert fit_parabola_peak(1.0, 0.5 + 1e-12, 0.0)[0] == -1
    assert fit_parabola_peak(0.0, 0.5 + 1e-12, 1.0)[0] == 1
    assert fit_parabola_peak(np.nan, 0.5, 1.0) == (0.0, 0.0)


@pytest.mark.parametrize("nonrigid", [False, True])
@pytest.mark.parametrize("shape", [(16, 16), (16, 40), (64, 64)])
def test_noise_ends_as_a_rejected_frame(shape, nonrigid):
    rng, world = np.random.default_rng(0), make_field(shape)
    settings = RegistrationSettings(nonrigid=nonrigid)
    registrar = Registrar(world.render_template(2.0, rng), settings)
    for sd in np.geomspace(1, 3000, 100):
        frame = rng.normal(0, sd, shape).astype(np.int16)
        shift = registrar.estimate_shift(frame)
        assert np.isfinite([shift.y_px, shift.x_px, shift.confidence]).all()
        assert not shift.is_accepted or shift.confidence > 0.15


def test_strips_without_information_keep_their_measured_mean():
    shifts = np.array([(1.0, 2.0), (3.0, 2.0)])
    path = _smooth_path(shifts, np.zeros((2, 2)))
    np.testing.assert_allclose(path, [(2.0, 2.0)] * 2, atol=1e-3)


@pytest.mark.parametrize("nonrigid", [False, True])
@pytest.mark.parametrize("shape", [(256, 256), (128, 128), (100, 300)])
def test_a_stage_jump_is_rejected(shape, nonrigid):
    rng, world = np.random.default_rng(0), make_field(shape)
    settings = RegistrationSettings(nonrigid=nonrigid)
    registrar = Registrar(world.render_template(2.0, rng), settings)
    before = registrar.estimate_shift(world.render_frame(2.0, rng))
    for jump in ((70, 15), (-70, 15), (15, -70), (-70, -70)):
        shift = registrar.estimate_shift(world.render_frame(2.0, rng, jump))
        assert before.is_accepted
        assert not shift.is_accepted
        assert shift.rejection_reason
        assert (shift.y_px, shift.x_px) == (before.y_px, before.x_px)
