"""Images with a known offset of their odd lines, and images without evidence."""

from math import inf

import numpy as np
import pytest

from rtrecon.config import RegistrationSettings
from rtrecon.imaging.registration.registrar import Registrar, make_template
from rtrecon.imaging.registration.scan_phase import estimate_scan_offset
from rtrecon.testing.synthetic_field import make_field

OFFSETS_PX = [0.0, 0.3, 1.0, -2.4]
# photons per pixel and frame -> frames of 256 x 256, largest error in px
LIGHTS = {2.0: (12, 0.1), 0.2: (30, 0.3)}
COUNTS = 30  # per photon


def render_scanned(world, offset_px, shift=(0.0, 0.0)):
    """The world's brightness, its odd lines moved right."""
    image = world.render_image(shift)
    image[1::2] = world.render_image((shift[0], shift[1] + offset_px))[1::2]
    return image


def make_frames(image, photons, n=12, seed=0):
    rng = np.random.default_rng(seed)
    counts = COUNTS * rng.poisson(photons * image, (n, *image.shape))
    return np.rint(counts + rng.normal(0, 10, counts.shape)).astype(np.int16)


@pytest.fixture(scope="module")
def world():
    return make_field((256, 256))


@pytest.fixture(scope="module")
def small_world():
    return make_field((128, 128))


@pytest.mark.parametrize("photons", LIGHTS)
@pytest.mark.parametrize("offset_px", OFFSETS_PX)
def test_a_known_scan_offset_is_recovered(world, offset_px, photons):
    n_frames, largest_px = LIGHTS[photons]
    image = render_scanned(world, offset_px)
    found = estimate_scan_offset(make_frames(image, photons, n_frames))
    assert abs(found.px - offset_px) < min(largest_px, 5 * found.error_px)
    # None is exactly none: nothing is blurred for it. Light makes sure of others.
    assert (found.px == 0) == (offset_px == 0) or photons < 1
    assert found.error_px < largest_px


@pytest.mark.parametrize(("offset_px", "photons"), [(0.06, 20.0), (0.2, 0.05)])
def test_an_offset_within_noise_counts_as_zero(small_world, offset_px, photons):
    image = render_scanned(small_world, offset_px)
    assert estimate_scan_offset(make_frames(image, photons, 30)).px == 0


def test_motion_does_not_hide_the_scan_offset(small_world):
    rng = np.random.default_rng(4)
    paths = rng.normal(0, 1.5, (30, 2))
    frames = [
        make_frames(render_scanned(small_world, -2.4, path), 4.0, 1)[0]
        for path in paths
    ]
    assert estimate_scan_offset(frames).px == pytest.approx(-2.4, abs=0.1)


def stripes(period_px):
    return np.tile(1 + np.sin(2 * np.pi * np.arange(256) / period_px), (256, 1))


def test_stripes_give_no_offset_because_they_are_periodic():
    bright = stripes(5.0)
    bright[1::2] = np.roll(bright[1::2], 2, axis=1)
    found = estimate_scan_offset(make_frames(bright, 2.0))
    assert (found.px, found.error_px) == (0.0, inf)


def test_neurons_among_stripes_resolve_the_offset(world):
    bright = render_scanned(world, 2.0) + 0.5 * np.roll(stripes(5.0), 2, axis=1)
    bright[::2] += 0.5 * (stripes(5.0) - np.roll(stripes(5.0), 2, axis=1))[::2]
    found = estimate_scan_offset(make_frames(bright, 2.0))
    assert found.px == pytest.approx(2.0, abs=0.1)


def test_blank_and_leaking_frames_do_no_harm(world):
    frames = make_frames(render_scanned(world, 1.0), 2.0)
    frames[:3], frames[3:6], frames[6, 100:] = 0, -16384, 32767
    assert estimate_scan_offset(frames).px == pytest.approx(1.0, abs=0.1)


NO_EVIDENCE = {
    "blank": np.zeros((5, 64, 64), np.int16),
    "no frame": np.zeros((0, 64, 64), np.int16),
    "one line": np.arange(64, dtype=np.int16).reshape(1, 1, 64),
    "few lines": make_frames(np.ones((12, 64)), 2.0, 3),
    "no structure along lines": np.tile(np.arange(64.0)[:, None], (3, 1, 64)),
    "short lines": np.random.default_rng(0).integers(0, 9, (3, 64, 4)),
}


@pytest.mark.parametrize("name", NO_EVIDENCE)
def test_images_without_evidence_give_no_offset(name):
    found = estimate_scan_offset(NO_EVIDENCE[name])
    assert (found.px, found.error_px) == (0.0, inf)


def test_noise_gives_no_offset():
    rng = np.random.default_rng(6)
    for noise in rng.normal(0, 10, (40, 1, 128, 128)):
        assert estimate_scan_offset(noise).px == 0


def test_the_registrar_corrects_the_scan_offset(world):
    straight = make_frames(render_scanned(world, 0.0), 2.0, 10)
    slanted = make_frames(render_scanned(world, -2.4), 2.0, 10)
    offset_px = estimate_scan_offset(slanted).px
    settings = RegistrationSettings()
    registrar = Registrar(
        make_template(straight, settings), settings, scan_offset_px=offset_px
    )
    back = np.empty((10, *world.shape), np.float32)
    for frame, out in zip(slanted, back, strict=True):
        registrar.undo_shift(frame, registrar.estimate_shift(frame), out)
    assert abs(offset_px) > 2
    assert estimate_scan_offset(back).px == 0
