"""Where pixels of a flat screen lie in visual angle."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.stimulus_space.viewing import FlatScreen, warp_to_flat_screen

SQUARE = FlatScreen(20.0, 20.0, 10.0)  # its edges lie at 45 degrees


def test_angles_of_a_screen_are_those_of_trigonometry():
    azimuth, elevation = SQUARE.find_angles((2000, 2000))
    assert azimuth[1000, -1] == pytest.approx(45, abs=0.05)
    assert azimuth[0, 0] == pytest.approx(-45, abs=0.05)
    assert elevation[0, 1000] == pytest.approx(45, abs=0.05)
    # In the corner: atan(10 / sqrt(10^2 + 10^2)).
    assert elevation[0, -1] == pytest.approx(35.264, abs=0.05)


def test_a_pixel_in_the_middle_has_the_known_size():
    down, across = FlatScreen(51.0, 29.0, 15.0).degrees_per_pixel((36, 64))
    assert across == pytest.approx(np.degrees(2 * np.arctan(51 / 64 / 2 / 15)))
    assert (down, across) == pytest.approx((3.076, 3.043), abs=0.001)


def test_meridians_stay_straight_and_lie_at_the_tangent_of_their_angle():
    picture = np.zeros((90, 90), np.uint8)
    picture[:, 67] = 255  # azimuth (67.5 / 90 - 0.5) * 90 = 22.5 degrees
    warped = warp_to_flat_screen(picture, SQUARE)
    lit = np.flatnonzero(warped[45])
    expected = (np.tan(np.radians(22.5)) + 1) / 2 * 90  # of the middle of the meridian
    assert lit.mean() + 0.5 == pytest.approx(expected, abs=0.6)
    assert (warped == warped[0]).all()


def test_lines_of_equal_elevation_bend_away_from_the_middle():
    picture = np.repeat(np.arange(90, dtype=np.uint8)[:, None], 90, 1)
    warped = warp_to_flat_screen(picture, SQUARE)
    assert warped[45, 0] == warped[45, 45] == 45
    assert warped[0, 0] > warped[0, 45]  # a corner is nearer to the horizon
    assert warped[0, 45] == 0


def test_a_small_screen_far_away_is_not_changed():
    movie = np.random.default_rng(0).integers(0, 256, (3, 36, 64)).astype(np.uint8)
    assert (warp_to_flat_screen(movie, FlatScreen(1.6, 0.9, 1000.0)) == movie).all()
