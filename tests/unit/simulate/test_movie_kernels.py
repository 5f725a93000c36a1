"""Leaves are ellipses on a canvas that wraps around, and the view is bilinear."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from rtrecon.simulate.movie_kernels import paint_leaf, view_wrapped

PLAIN = (2.0, 0.0, 0.0, 1.0, 0.0)  # brightness 2, no slope, no stripes


def paint(center, shape, shade=PLAIN):
    canvas, alpha = np.zeros((2, 40, 40), np.float32)
    paint_leaf(canvas, alpha, center, shape, shade)
    return canvas, alpha


def test_a_leaf_is_an_ellipse_of_its_radius_and_squeeze():
    canvas, alpha = paint((20, 20), (10.0, 0.0, 0.5))
    rows, cols = np.nonzero(alpha)
    assert (rows.min(), rows.max()) == (15, 25)  # half as high as wide
    assert (cols.min(), cols.max()) == (10, 30)
    np.testing.assert_array_equal(canvas, 2 * alpha)


def test_a_leaf_at_the_border_continues_at_the_other_side():
    inside, _ = paint((20, 20), (7.5, 0.7, 0.6), (1.0, 0.3, 0.5, 0.9, 2.0))
    at_border, _ = paint((1, 38), (7.5, 0.7, 0.6), (1.0, 0.3, 0.5, 0.9, 2.0))
    np.testing.assert_array_equal(np.roll(at_border, (19, -18), (0, 1)), inside)


def test_light_falls_on_a_leaf_from_one_side():
    canvas, _ = paint((20, 20), (8.0, 0.0, 1.0), (0.0, 0.5, 0.0, 1.0, 0.0))
    np.testing.assert_allclose(canvas[20, 12:29], 0.5 * np.arange(-8, 9) / 8)


def test_the_view_is_that_of_bilinear_interpolation_on_a_wrapped_canvas():
    rng = np.random.default_rng(0)
    canvas = rng.normal(size=(30, 30)).astype(np.float32)
    camera = np.column_stack([rng.uniform(-99, 99, (5, 2)), rng.uniform(0.5, 2, 5)])
    view = np.empty((5, 8, 10), np.float32)
    view_wrapped(canvas, camera, view)
    y, x = np.mgrid[:8, :10]
    at = [
        (grid - grid.mean()) * camera[:, 2, None, None] + camera[:, k, None, None]
        for k, grid in enumerate((y, x))
    ]
    expected = map_coordinates(canvas, at, order=1, mode="grid-wrap")
    np.testing.assert_allclose(view, expected, rtol=1e-6, atol=1e-6)
