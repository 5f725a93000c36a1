"""The pupil is found in images of eyes whose pupil is known, and nowhere else."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy import ndimage

from tests.support.paths import BRIDGE
from tests.support.synthetic_eye import SHAPE, SyntheticEye


@pytest.fixture(scope="module")
def pupil():
    """The module of the bridge, which is no part of the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BRIDGE / "python")
        import pupil

        yield pupil
    del sys.modules["pupil"]


# what is in the way -> largest error of the centre and of the diameter, px
EYES = {
    "nothing": (SyntheticEye(), 0.1, 0.3),
    "much noise": (SyntheticEye(noise=12.0), 0.2, 0.4),
    "the lamp inside the pupil": (SyntheticEye(lamp=(78.0, 58.0, 5.0)), 0.1, 0.3),
    "the lamp at the edge": (SyntheticEye(lamp=(100.0, 66.0, 6.0)), 0.3, 0.4),
    "the eyelid over a sixth": (SyntheticEye(lid_y=48.0), 1.0, 1.3),
    "the eyelid over a third": (SyntheticEye(lid_y=54.0), 2.0, 2.5),
    "a small pupil": (SyntheticEye(axes=(18.0, 16.0)), 0.2, 1.0),
    "a large pupil": (SyntheticEye(axes=(80.0, 76.0)), 0.1, 0.3),
    "a pupil at the side": (SyntheticEye(x=52.0, y=70.0), 0.1, 0.3),
    "a bright pupil": (SyntheticEye(is_bright=True), 0.1, 0.3),
    "a bright pupil and the lamp": (
        SyntheticEye(is_bright=True, lamp=(100.0, 66.0, 6.0)),
        0.4,
        0.4,
    ),
}


@pytest.mark.parametrize(("eye", "center_px", "diameter_px"), EYES.values(), ids=EYES)
def test_the_pupil_is_found_whatever_is_in_the_way(pupil, eye, center_px, diameter_px):
    limits = pupil.Limits(is_bright=eye.is_bright)
    found = pupil.find_pupil(eye.draw(), limits)
    assert np.hypot(found.x - eye.x, found.y - eye.y) < center_px
    expected = np.sqrt(eye.axes[0] * eye.axes[1])
    assert found.diameter == pytest.approx(expected, abs=diameter_px)


def test_axes_and_angle_are_those_of_the_ellipse(pupil):
    eye = SyntheticEye(axes=(50.0, 38.0), angle=1.1, noise=1.0)
    found = pupil.find_pupil(eye.draw())
    assert found.axes == pytest.approx(eye.axes, abs=0.4)
    assert found.angle == pytest.approx(eye.angle, abs=0.03)
    assert found.share_seen == 1.0


def test_a_large_image_gives_the_same_pupil(pupil):
    eye = SyntheticEye()
    large = np.kron(eye.draw(), np.ones((4, 4), np.uint8))
    found = pupil.find_pupil(large)
    assert (found.x, found.y) == pytest.approx((321.5, 241.5), abs=0.5)
    assert found.diameter == pytest.approx(4 * np.sqrt(44 * 36), abs=1.0)


def test_a_threshold_of_the_user_is_taken(pupil):
    eye = SyntheticEye()
    found = pupil.find_pupil(eye.draw(), pupil.Limits(threshold=60.0))
    assert found.diameter == pytest.approx(np.sqrt(44 * 36), abs=0.5)
    none = pupil.find_pupil(eye.draw(), pupil.Limits(threshold=5.0))
    assert none == "no blob is large enough"


def draw_texture(seed: int, size_px: float) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(SHAPE)
    smooth = ndimage.gaussian_filter(noise, size_px)
    return np.clip(100 + 21 * smooth / smooth.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_a_closed_eye_has_no_pupil(pupil, seed):
    assert isinstance(pupil.find_pupil(SyntheticEye(lid_y=200.0).draw(seed)), str)
    assert isinstance(pupil.find_pupil(SyntheticEye(lid_y=66.0).draw(seed)), str)


@pytest.mark.parametrize("size_px", [0.5, 2.0, 4.0])
def test_fur_has_no_pupil(pupil, size_px):
    images = [draw_texture(seed, size_px) for seed in range(5)]
    assert all(isinstance(pupil.find_pupil(image), str) for image in images)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros(SHAPE, np.uint8),
        np.full(SHAPE, 255, np.uint8),
        np.tile(np.linspace(0, 255, SHAPE[1]), (SHAPE[0], 1)).astype(np.uint8),
        SyntheticEye(axes=(0.1, 0.1)).draw(),
        np.zeros((8, 8), np.uint8),
    ],
    ids=["black", "white", "gradient", "iris alone", "tiny"],
)
def test_what_is_no_eye_gives_a_reason(pupil, image):
    assert isinstance(pupil.find_pupil(image), str)
