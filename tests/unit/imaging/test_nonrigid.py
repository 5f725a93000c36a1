"""Motion by rows, with a known answer: the field moves while it is scanned."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from rtrecon.config import RegistrationSettings
from rtrecon.imaging.registration.nonrigid import interpolate_line_shifts
from rtrecon.imaging.registration.registrar import Registrar
from rtrecon.testing.synthetic_field import make_field

SETTINGS = RegistrationSettings(max_shift_px=20, nonrigid=True)
SIDE_PX = 256


@pytest.fixture(scope="module")
def world():
    return make_field((SIDE_PX, SIDE_PX))


@pytest.fixture(scope="module")
def template(world):
    return world.render_template(2.0, np.random.default_rng(7))


def make_path(rng, travel_px: float, sigma_lines: float = 64) -> np.ndarray:
    """A smooth (lines, 2) path of shifts, `travel_px` s.d. per axis."""
    steps = rng.normal(size=(SIDE_PX, 2))
    smooth = gaussian_filter1d(steps, sigma_lines, axis=0, mode="reflect")
    return travel_px * smooth / smooth.std(0) + rng.normal(0, 2, 2)


def render_line(world, line, shift) -> np.ndarray:
    """One line (1, pixels) of the shifted field, of the spots that reach it."""
    distance_px = np.abs(world.positions[:, 0] + shift[0] - line)
    near = distance_px < 5 * world.sigmas
    strip = replace(
        world,
        shape=(1, world.shape[1]),
        positions=world.positions[near] - (line, 0),
        sigmas=world.sigmas[near],
        heights=world.heights[near],
    )
    return strip.render_image(shift)


def scan_frame(world, rng, shifts, photons=2.0) -> np.ndarray:
    """A frame whose every line was taken at its own shift."""
    lines = [render_line(world, line, shift) for line, shift in enumerate(shifts)]
    image = np.concatenate(lines)
    counts = 30 * rng.poisson(photons * image) + rng.normal(0, 10, image.shape)
    return np.clip(np.rint(counts), -32768, 32767).astype(np.int16)


CASES = [  # travel in px, photons per pixel, median and largest error in px allowed
    (0.0, 2.0, 0.3, 1.5),
    (1.0, 2.0, 0.3, 2.0),
    (2.0, 2.0, 0.3, 3.0),
    (2.0, 0.5, 0.4, 3.0),
]


@pytest.mark.parametrize(("travel", "photons", "median_px", "largest_px"), CASES)
def test_a_known_path_of_motion_is_recovered(
    world, template, travel, photons, median_px, largest_px
):
    rng = np.random.default_rng(1)
    registrar = Registrar(template, SETTINGS)
    errors = []
    for _ in range(2):
        truth = make_path(rng, travel)
        shift = registrar.estimate_shift(scan_frame(world, rng, truth, photons))
        assert shift.is_accepted
        rows = registrar.strip_rows
        expected = np.stack([np.interp(rows, range(SIDE_PX), v) for v in truth.T], 1)
        errors.append(np.hypot(*(shift.strip_shifts_px - expected).T))
    assert np.median(errors) < median_px
    assert np.max(errors) < largest_px


def test_row_wise_registration_is_better_than_one_shift(world, template):
    rng = np.random.default_rng(2)
    frame, still = scan_frame(world, rng, make_path(rng, 2.0)), world.render_image()
    inner = np.s_[20:-20, 20:-20]
    likeness = {}
    for nonrigid in (False, True):
        settings = SETTINGS.model_copy(update={"nonrigid": nonrigid})
        registrar = Registrar(template, settings)
        out = np.empty(world.shape, np.float32)
        registrar.undo_shift(frame, registrar.estimate_shift(frame), out)
        likeness[nonrigid] = np.corrcoef(out[inner].ravel(), still[inner].ravel())[0, 1]
    assert likeness[True] > likeness[False] + 0.05


def test_a_rejected_frame_repeats_the_last_shift_in_every_strip(world, template):
    rng = np.random.default_rng(3)
    registrar = Registrar(template, SETTINGS)
    last = registrar.estimate_shift(scan_frame(world, rng, make_path(rng, 1.0)))
    shift = registrar.estimate_shift(np.zeros(world.shape, np.int16))
    assert not shift.is_accepted
    assert shift.strip_shifts_px.shape == (len(registrar.strip_rows), 2)
    np.testing.assert_array_equal(
        shift.strip_shifts_px, shift.strip_shifts_px[:1].repeat(16, 0)
    )
    assert tuple(shift.strip_shifts_px[0]) == (last.y_px, last.x_px)


def test_rigid_registration_has_no_strips(world, template):
    registrar = Registrar(template, RegistrationSettings())
    frame = world.render_frame(2.0, np.random.default_rng(4))
    assert registrar.estimate_shift(frame).strip_shifts_px is None
    assert registrar.strip_rows.size == 0


def test_line_shifts_are_given_by_line_of_the_template():
    """A frame stretched downwards: its line 2 t shows line t of the template."""
    rows, shifts = np.array([0.0, 100.0]), np.array([(0.0, 1.0), (50.0, 3.0)])
    out = np.empty((51, 2))
    interpolate_line_shifts(rows, shifts, out)
    np.testing.assert_allclose(out[:26, 0], np.arange(26))  # line t is at line 2 t
    np.testing.assert_allclose(out[:26, 1], 1 + np.arange(0, 52, 2) / 50)
