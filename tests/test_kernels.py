"""Each kernel against its obvious twin in numpy or scipy."""

from itertools import pairwise, product

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.optimize import nnls

from rtrecon.acquire import kernels

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
def test_halve_takes_the_mean_of_boxes(shape, dtype):
    pixels = image(shape, dtype)
    lines, cols = shape[0] // 2, shape[1] // 2
    out = np.empty((lines, cols), np.float32)
    kernels.halve(pixels, out)
    boxes = pixels[: 2 * lines, : 2 * cols].reshape(lines, 2, cols, 2)
    np.testing.assert_allclose(out, boxes.mean((1, 3), float), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("margins", [(3, 4), (1, 2)])
def test_centre_clips_the_middle_around_its_mean(dtype, margins):
    pixels = image((30, 41), dtype)
    out = np.zeros(pixels.shape, np.float32)
    mean, norm = kernels.centre(pixels, -9000.0, 4000.0, margins, out)

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
    assert kernels.centre(pixels, -5.0, 5.0, (2, 2), out) == (32767, 0)


@pytest.mark.parametrize("reach", [(3, 4), (1, 2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_search_correlates_at_every_shift(shape, reach):
    ry, rx = reach
    inner = np.s_[ry:-ry, rx:-rx]
    pattern, centred = texture(shape), np.zeros(shape, np.float32)
    centred[inner] = texture(shape, seed=3)[inner]
    scales = np.random.default_rng(2).uniform(1, 2, (2 * ry + 1, 2 * rx + 1))
    scales = scales.astype(np.float32)
    out = np.empty_like(scales)
    kernels.search(centred, pattern, scales, out)
    for y, x in product(range(-ry, ry + 1), range(-rx, rx + 1)):
        seen = np.roll(pattern, (y, x), (0, 1))[inner].astype(float)
        expected = (centred[inner] * seen).sum() * scales[ry + y, rx + x]
        assert out[ry + y, rx + x] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-5, 6)])
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_scores_are_correlation_coefficients(shape, shift, dtype):
    pixels, pattern = image(shape, dtype), texture(shape)
    y, x = shift
    out = np.empty(5)
    kernels.cross_scores(
        pixels, 8000.0, pattern, integral(pattern), integral(pattern**2), y, x, out
    )
    rows = slice(max(0, y + 1), shape[0] + min(0, y - 1))
    cols = slice(max(0, x + 1), shape[1] + min(0, x - 1))
    neighbours = [(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)]
    for score, (dy, dx) in zip(out, neighbours, strict=True):
        moved = np.roll(pattern, (y + dy, x + dx), (0, 1))[rows, cols]
        expected = np.corrcoef(pixels[rows, cols].ravel(), moved.ravel())[0, 1]
        assert score == pytest.approx(expected, abs=1e-5)


def test_cross_scores_of_a_constant_image_are_zero():
    pixels, pattern = np.full((20, 20), -16384, np.int16), texture((20, 20))
    out = np.empty(5)
    sums, squares = integral(pattern), integral(pattern**2)
    kernels.cross_scores(pixels, -16384.0, pattern, sums, squares, 1, 1, out)
    np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_undo_shift_is_bilinear_with_the_edge_repeated(shape, shift, dtype):
    pixels = image(shape, dtype)
    out = np.empty(shape, np.float32)
    line = np.empty(shape[1] + 1, np.float32)
    kernels.undo_shift(pixels, *shift, line, out)
    rows, cols = np.mgrid[: shape[0], : shape[1]].astype(float)
    where = rows + shift[0], cols + shift[1]
    expected = map_coordinates(pixels.astype(float), where, order=1, mode="nearest")
    np.testing.assert_allclose(out, expected, atol=0.02)


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_down_are_cumulative_sums_of_columns(shape):
    pixels = image(shape, np.float32)
    out = np.empty((shape[0] + 1, shape[1]), np.float32)
    kernels.sums_down(pixels, out)
    expected = np.vstack([np.zeros(shape[1]), pixels.cumsum(0, float)])
    np.testing.assert_allclose(out, expected, rtol=1e-5)


@pytest.mark.parametrize("counts", [(5, 0, 1, 4, 12), (), (0,)])
def test_weighted_sums_and_an_empty_mask(counts):
    rng = np.random.default_rng(0)
    pixels = image((20, 20), np.float32).ravel()
    indptr = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    index = rng.integers(0, pixels.size, indptr[-1]).astype(np.uint32)
    weights = rng.random(indptr[-1]).astype(np.float32)
    out = np.empty(len(counts), np.float32)
    kernels.weighted_sums(pixels, indptr, index, weights, out)
    expected = [
        np.dot(weights[a:b].astype(float), pixels[index[a:b]]) if a < b else np.nan
        for a, b in pairwise(indptr)
    ]
    np.testing.assert_allclose(out, expected, rtol=1e-5)


def test_run_means_read_each_run_at_its_two_ends():
    pixels = image((20, 8), np.float32)
    sums = np.empty((21, 8), np.float32)
    kernels.sums_down(pixels, sums)
    # Mask 0: rows 2-6 of column 1 and row 19 of column 7. Mask 1: none.
    starts = np.array([2 * 8 + 1, 19 * 8 + 7], np.uint32)
    stops = np.array([7 * 8 + 1, 20 * 8 + 7], np.uint32)
    counts, out = np.array([6, 0], np.float32), np.empty(2, np.float32)
    indptr = np.array([0, 2, 2])
    kernels.run_means(sums.ravel(), indptr, starts, stops, counts, out)
    expected = np.append(pixels[2:7, 1], pixels[19, 7]).mean(dtype=float)
    np.testing.assert_allclose(out, [expected, np.nan], rtol=1e-4)


def test_running_baseline_is_the_lowest_smoothed_value():
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    values[7, 1] = values[20:24, 1] = np.nan
    rate = 0.25
    smooth, seen = np.zeros(3, np.float32), np.zeros(3, np.int64)
    block = np.full(3, np.inf, np.float32)
    lowest = np.full(3, np.inf, np.float32)
    out = np.empty((50, 3), np.float32)
    for value, baseline in zip(values, out, strict=True):
        kernels.running_baseline(value, rate, smooth, seen, block, lowest, baseline)

    for neuron in range(3):
        mean, history = 0.0, []
        for number, value in enumerate(values[~np.isnan(values[:, neuron]), neuron]):
            mean += (value - mean) * max(rate, 1 / (number + 1))
            history.append(mean)
        # Three values do not fill a smoothing time of four frames.
        expected = history[:3] + [
            min(history[3 : k + 1]) for k in range(3, len(history))
        ]
        answered = out[~np.isnan(out[:, neuron]), neuron]
        np.testing.assert_allclose(answered, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(np.isnan(out), np.isnan(values))


def solve_by_nnls(values, decay):
    """Activity s >= 0 whose calcium is nearest to the values; NaN is no value."""
    n = len(values)
    lags = np.subtract.outer(np.arange(n), np.arange(n))
    calcium_of = np.where(lags >= 0, decay ** np.maximum(lags, 0), 0)
    there = ~np.isnan(values)
    activity, _ = nnls(calcium_of[there], values[there].astype(float))
    return activity, calcium_of @ activity


def run_deconvolve(values, decay, lag, depth=32):
    """Return (n_frames, n) activity and calcium, one kernel call per frame."""
    n_frames, n = values.shape
    powers = (decay ** np.arange(400)).astype(np.float32)
    pools = np.zeros((n, depth, 3), np.float32)
    newest, held = np.zeros(n, np.int64), np.zeros(n, np.int64)
    missing = np.full(n, 2**32 - 1, np.uint32)
    activity, calcium = np.empty((2, n_frames, n), np.float32)
    now = np.empty(n, np.float32)
    for k in range(n_frames):
        kernels.deconvolve(
            values[k], powers, lag, pools, newest, held, missing, now, activity[k]
        )
        calcium[k] = now
    return activity, calcium


def spiking(n_frames, n, decay, seed=0):
    """Return (values, calcium): noisy and true."""
    rng = np.random.default_rng(seed)
    calcium = (rng.random((n_frames, n)) < 0.08).astype(np.float32)
    for k in range(1, n_frames):
        calcium[k] += decay * calcium[k - 1]
    noise = 0.2 * rng.normal(size=calcium.shape)
    return (calcium + noise).astype(np.float32), calcium


@pytest.mark.parametrize("gaps", [[], [17, 18, 19, 30]], ids=["whole", "gaps"])
@pytest.mark.parametrize("lag", [0, 1, 5, 16])
def test_deconvolve_is_least_squares_on_everything_seen_so_far(lag, gaps):
    decay = 0.9
    values, _ = spiking(45, 2, decay)
    values[gaps] = np.nan
    activity, calcium = run_deconvolve(values, decay, lag)
    assert np.isnan(activity[:lag]).all()
    for neuron in range(2):
        for k in range(lag, len(values)):
            best, best_calcium = solve_by_nnls(values[: k + 1, neuron], decay)
            assert calcium[k, neuron] == pytest.approx(best_calcium[-1], abs=1e-4)
            if k - lag in gaps:
                assert np.isnan(activity[k, neuron])
            else:
                assert activity[k, neuron] == pytest.approx(best[k - lag], abs=1e-4)


def test_deconvolve_forgets_old_pools_without_harm():
    values, _ = spiking(600, 4, 0.9)
    deep, _ = run_deconvolve(values, 0.9, lag=3, depth=512)
    shallow, _ = run_deconvolve(values, 0.9, lag=3, depth=32)
    np.testing.assert_allclose(shallow, deep, atol=1e-5)
