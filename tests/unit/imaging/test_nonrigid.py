"""Motion by rows, with a known answer: the field moves while it is scanned."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from rtrecon.config import RegisterSettings
from rtrecon.imaging.registration.nonrigid import line_shifts
from rtrecon.imaging.registration.registrar import Registrar
from rtrecon.testing.small_field import field

SETTINGS = RegisterSettings(max_shift_px=20, nonrigid=True)
SIDE_PX = 256


@pytest.fixture(scope="module")
def world():
    return field((SIDE_PX, SIDE_PX))


@pytest.fixture(scope="module")
def template(world):
    return world.template(2.0, np.random.default_rng(7))


def path(rng, travel_px: float, sigma_lines: float = 64) -> np.ndarray:
    """A smooth (lines, 2) path of shifts, `travel_px` s.d. per axis."""
    steps = rng.normal(size=(SIDE_PX, 2))
    smooth = gaussian_filter1d(steps, sigma_lines, axis=0, mode="reflect")
    return travel_px * smooth / smooth.std(0) + rng.normal(0, 2, 2)


def scanned(world, rng, shifts, photons=2.0) -> np.ndarray:
    """A frame whose every line was taken at its own shift."""
    image = np.empty(world.shape)
    rounded = np.round(shifts / 0.1) * 0.1  # one image per place, to a tenth of a pixel
    for place in np.unique(rounded, axis=0):
        lines = (rounded == place).all(1)
        image[lines] = world.image(place)[lines]
    counts = 30 * rng.poisson(photons * image) + rng.normal(0, 10, image.shape)
    return np.clip(np.rint(counts), -32768, 32767).astype(np.int16)


CASES = [  # travel in px, photons per pixel, median and largest error in px allowed
    (0.0, 2.0, 0.3, 1.5),
    (1.0, 2.0, 0.3, 2.0),
    (2.0, 2.0, 0.3, 3.0),
    (2.0, 0.5, 0.4, 3.0),
]


@pytest.mark.parametrize(("travel", "photons", "median_px", "largest_px"), CASES)
def test_known_paths_are_found(world, template, travel, photons, median_px, largest_px):
    rng = np.random.default_rng(1)
    registrar = Registrar(template, SETTINGS)
    errors = []
    for _ in range(2):
        truth = path(rng, travel)
        shift = registrar.estimate(scanned(world, rng, truth, photons))
        assert shift.trusted
        rows = registrar.strip_rows
        expected = np.stack([np.interp(rows, range(SIDE_PX), v) for v in truth.T], 1)
        errors.append(np.hypot(*(shift.rows_px - expected).T))
    assert np.median(errors) < median_px
    assert np.max(errors) < largest_px


def test_a_path_is_undone_better_than_by_one_shift(world, template):
    rng = np.random.default_rng(2)
    frame, still = scanned(world, rng, path(rng, 2.0)), world.image()
    inner = np.s_[20:-20, 20:-20]
    likeness = {}
    for nonrigid in (False, True):
        settings = SETTINGS.model_copy(update={"nonrigid": nonrigid})
        registrar = Registrar(template, settings)
        out = np.empty(world.shape, np.float32)
        registrar.apply(frame, registrar.estimate(frame), out)
        likeness[nonrigid] = np.corrcoef(out[inner].ravel(), still[inner].ravel())[0, 1]
    assert likeness[True] > likeness[False] + 0.05


def test_without_trust_every_row_repeats_the_last_shift(world, template):
    rng = np.random.default_rng(3)
    registrar = Registrar(template, SETTINGS)
    last = registrar.estimate(scanned(world, rng, path(rng, 1.0)))
    shift = registrar.estimate(np.zeros(world.shape, np.int16))
    assert not shift.trusted
    assert shift.rows_px.shape == (len(registrar.strip_rows), 2)
    np.testing.assert_array_equal(shift.rows_px, shift.rows_px[:1].repeat(16, 0))
    assert tuple(shift.rows_px[0]) == (last.y_px, last.x_px)


def test_rigid_registration_has_no_rows(world, template):
    registrar = Registrar(template, RegisterSettings())
    frame = world.frame(2.0, np.random.default_rng(4))
    assert registrar.estimate(frame).rows_px is None
    assert registrar.strip_rows.size == 0


def test_line_shifts_are_told_by_line_of_the_template():
    """A frame stretched downwards: its line 2 t shows line t of the template."""
    rows, shifts = np.array([0.0, 100.0]), np.array([(0.0, 1.0), (50.0, 3.0)])
    out = np.empty((51, 2))
    line_shifts(rows, shifts, out)
    np.testing.assert_allclose(out[:26, 0], np.arange(26))  # line t is at line 2 t
    np.testing.assert_allclose(out[:26, 1], 1 + np.arange(0, 52, 2) / 50)
