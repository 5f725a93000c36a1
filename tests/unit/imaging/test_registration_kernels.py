"""Each registration kernel against the same computation in numpy or scipy."""

from itertools import product

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from rtrecon.imaging.registration import kernels

DTYPES = [np.int16, np.uint16, np.float32]
SHAPES = [(64, 64), (30, 41), (17, 16)]
SHIFTS = [(0.0, 0.0), (0.25, -0.75), (3.0, -2.5), (-16.9, 9.1), (40.0, -70.0)]


def image(shape, dtype, seed=0):
    """Pixels over most of the type's range, negative where it has negatives."""
    rng = np.random.default_rng(seed)
    low = 0 if dtype is np.uint16 else -16384
    return rng.integers(low, 32000, shape).astype(dtype)


def texture(shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def integral(values):
    padded = np.pad(values.astype(float), ((1, 0), (1, 0)))
    return padded.cumsum(0).cumsum(1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_halve_image_takes_the_mean_of_boxes(shape, dtype):
    pixels = image(shape, dtype)
    lines, cols = shape[0] // 2, shape[1] // 2
    out = np.empty((lines, cols), np.float32)
    kernels.halve_image(pixels, out)
    boxes = pixels[: 2 * lines, : 2 * cols].reshape(lines, 2, cols, 2)
    np.testing.assert_allclose(out, boxes.mean((1, 3), float), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("margins", [(3, 4), (1, 2)])
def test_center_image_clips_the_inner_part_around_its_mean(dtype, margins):
    pixels = image((30, 41), dtype)
    out = np.zeros(pixels.shape, np.float32)
    mean, norm = kernels.center_image(pixels, -9000.0, 4000.0, margins, out)

    inner = np.s_[margins[0] : -margins[0], margins[1] : -margins[1]]
    middle = pixels[inner].astype(float)
    clipped = np.clip(middle - middle.mean(), -9000, 4000)
    expected = np.zeros(pixels.shape)
    expected[inner] = clipped - clipped.mean()
    assert mean == pytest.approx(middle.mean())
    assert norm == pytest.approx(np.linalg.norm(expected), rel=1e-5)
    np.testing.assert_allclose(out, expected, atol=0.1)


def test_a_constant_image_has_no_norm():
    pixels = np.full((32, 33), 32767, np.int16)
    out = np.zeros(pixels.shape, np.float32)
    assert kernels.center_image(pixels, -5.0, 5.0, (2, 2), out) == (32767, 0)


@pytest.mark.parametrize("reach", [(3, 4), (1, 2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_correlate_all_shifts_equals_numpy(shape, reach):
    ry, rx = reach
    inner = np.s_[ry:-ry, rx:-rx]
    pattern, centred = texture(shape), np.zeros(shape, np.float32)
    centred[inner] = texture(shape, seed=3)[inner]
    scales = np.random.default_rng(2).uniform(1, 2, (2 * ry + 1, 2 * rx + 1))
    scales = scales.astype(np.float32)
    out = np.empty_like(scales)
    kernels.correlate_all_shifts(centred, pattern, scales, out)
    for y, x in product(range(-ry, ry + 1), range(-rx, rx + 1)):
        seen = np.roll(pattern, (y, x), (0, 1))[inner].astype(float)
        expected = (centred[inner] * seen).sum() * scales[ry + y, rx + x]
        assert out[ry + y, rx + x] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-5, 6)])
@pytest.mark.parametrize("shape", SHAPES)
def test_correlate_neighbors_gives_correlation_coefficients(shape, shift, dtype):
    pixels, pattern = image(shape, dtype), texture(shape)
    y, x = shift
    out = np.empty(5)
    kernels.correlate_neighbors(
        pixels, 8000.0, pattern, integral(pattern), integral(pattern**2), y, x, out
    )
    rows = slice(max(0, y + 1), shape[0] + min(0, y - 1))
    cols = slice(max(0, x + 1), shape[1] + min(0, x - 1))
    neighbours = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
    for score, (dy, dx) in zip(out, neighbours, strict=True):
        moved = np.roll(pattern, (y + dy, x + dx), (0, 1))[rows, cols]
        expected = np.corrcoef(pixels[rows, cols].ravel(), moved.ravel())[0, 1]
        assert score == pytest.approx(expected, abs=1e-5)


def test_a_constant_image_correlates_with_nothing():
    pixels, pattern = np.full((20, 20), -16384, np.int16), texture((20, 20))
    out = np.empty(5)
    sums, squares = integral(pattern), integral(pattern**2)
    kernels.correlate_neighbors(pixels, -16384.0, pattern, sums, squares, 1, 1, out)
    np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reach", [1, 2])
@pytest.mark.parametrize("shape", [(64, 64), (35, 41)])
def test_correlate_strips_gives_correlation_coefficients(shape, reach, dtype):
    pixels, pattern = image(shape, dtype), texture(shape)
    centers = np.array([(0, 0), (2, -3), (-4, 1)])
    side = 2 * reach + 1
    line, out = np.empty(shape[1], np.float32), np.empty((3, side, side))
    sums, squares = integral(pattern), integral(pattern**2)
    kernels.correlate_strips(pixels, 8000.0, pattern, sums, squares, centers, line, out)
    height = shape[0] // 3
    for strip, (y, x) in enumerate(centers):
        ending = shape[0] if strip == 2 else (strip + 1) * height
        rows = slice(
            max(strip * height, y + reach), min(ending, shape[0] + min(0, y - reach))
        )
        cols = slice(max(0, x + reach), shape[1] + min(0, x - reach))
        for dy, dx in product(range(-reach, reach + 1), repeat=2):
            moved = np.roll(pattern, (y + dy, x + dx), (0, 1))[rows, cols]
            expected = np.corrcoef(pixels[rows, cols].ravel(), moved.ravel())[0, 1]
            found = out[strip, reach + dy, reach + dx]
            assert found == pytest.approx(expected, abs=1e-5)


def test_a_strip_that_moved_out_of_the_pattern_scores_zero():
    shape = (32, 32)
    pixels, pattern = image(shape, np.int16), texture(shape)
    centers = np.array([(20, 0), (0, 0)])  # the first strip shows what lay above
    line, out = np.empty(32, np.float32), np.empty((2, 3, 3))
    sums, squares = integral(pattern), integral(pattern**2)
    kernels.correlate_strips(pixels, 0.0, pattern, sums, squares, centers, line, out)
    np.testing.assert_array_equal(out[0], 0)
    assert np.abs(out[1]).max() > 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_undo_shifts_is_bilinear_with_the_edge_repeated(shape, shift, dtype):
    pixels = image(shape, dtype)
    along = np.linspace(-1.5, 1.5, shape[0])[:, None]  # every line has its own
    shifts = np.array(shift) + along * (1, -1)
    out, line = np.empty(shape, np.float32), np.empty(shape[1], np.float32)
    kernels.undo_shifts(pixels, shifts, line, out)
    rows, cols = np.mgrid[: shape[0], : shape[1]].astype(float)
    where = rows + shifts[:, :1], cols + shifts[:, 1:]
    expected = map_coordinates(pixels.astype(float), where, order=1, mode="nearest")
    np.testing.assert_allclose(out, expected, atol=0.02)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0.0, 0.4, -2.7, 100.0])
def test_correct_scan_phase_moves_odd_lines_only(offset, dtype):
    pixels = image((9, 30), dtype)
    out = np.empty(pixels.shape, np.float32)
    kernels.correct_scan_phase(pixels, offset, out)
    np.testing.assert_array_equal(out[::2], pixels[::2])
    cols = np.arange(30) + offset
    for row in range(1, 9, 2):
        expected = np.interp(cols, np.arange(30), pixels[row].astype(float))
        np.testing.assert_allclose(out[row], expected, atol=0.02)


@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_lines_are_counted(dtype):
    pixels = image((12, 20), dtype)
    pixels[3], pixels[11] = 7, 0
    pixels[5, :-1] = 9  # all but one pixel
    pixels[5, -1] = 8
    assert kernels.count_constant_lines(pixels) == 2


def test_update_mean_moves_a_mean_towards_an_image():
    mean, new = texture((6, 7)), texture((6, 7), seed=4)
    expected = 0.75 * mean + 0.25 * new
    kernels.update_mean(mean, new, 0.25)
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)
