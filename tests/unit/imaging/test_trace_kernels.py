"""Each trace kernel against the same computation in numpy or scipy."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import nnls

from rtrecon.imaging.traces import kernels


def image(shape, dtype, seed=0):
    """Pixels over most of the type's range, negative where it has negatives."""
    rng = np.random.default_rng(seed)
    low = 0 if dtype is np.uint16 else -16384
    return rng.integers(low, 32000, shape).astype(dtype)


@pytest.mark.parametrize("counts", [(5, 2, 1, 4, 12), (), (1,)])
def test_weighted_sums_are_written_to_their_cells_only(counts):
    rng = np.random.default_rng(0)
    pixels = image((20, 20), np.float32).ravel()
    indptr = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)
    index = rng.integers(0, pixels.size, indptr[-1]).astype(np.uint32)
    weights = rng.random(indptr[-1]).astype(np.float32)
    cells = 1 + 2 * np.arange(len(counts))
    out = np.full(2 * len(counts) + 1, -1, np.float32)
    kernels.sum_weighted_masks(pixels, cells, indptr, index, weights, out)
    expected = np.full(len(out), -1.0)
    for cell, (a, b) in zip(cells, pairwise(indptr), strict=True):
        expected[cell] = np.dot(weights[a:b].astype(float), pixels[index[a:b]])
    np.testing.assert_allclose(out, expected, rtol=1e-5)


def test_scaled_sums_are_means_and_nan_for_empty_masks():
    sums, pixels = np.array([6, 0, 8, 9], np.float32), np.array([2, 0, 4, 3])
    with np.errstate(divide="ignore"):
        shares = (1 / pixels).astype(np.float32)
    cells, rings = np.empty((2, 2), np.float32)
    kernels.scale_sums(sums, shares, cells, rings)
    np.testing.assert_array_equal(cells, [3, np.nan])
    np.testing.assert_array_equal(rings, [2, 3])


def test_the_baseline_is_the_lowest_smoothed_value():
    values = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    values[7, 1] = values[20:24, 1] = np.nan
    rate = 0.25
    smooth, seen = np.zeros(3, np.float32), np.zeros(3, np.int64)
    block = np.full(3, np.inf, np.float32)
    lowest = np.full(3, np.inf, np.float32)
    out = np.empty((50, 3), np.float32)
    for value, baseline in zip(values, out, strict=True):
        kernels.update_baseline(value, rate, smooth, seen, block, lowest, baseline)

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


def test_dff_is_divided_by_at_least_a_fraction_of_the_mean():
    rng = np.random.default_rng(0)
    out, rest = rng.normal(100, 10, (2, 50)).astype(np.float32)
    scale = rng.uniform(1, 300, 50).astype(np.float32)
    scale[7] = out[7] = np.nan
    for offset, least in ((40.0, (1.0, 0.1)), (-5.0, (60.0, 0.0)), (500.0, (1.0, 0.1))):
        floor = max(least[0], least[1] * np.nanmean(scale - offset))
        expected = (out - rest) / np.maximum(scale - offset, floor)
        found = out.copy()
        kernels.compute_dff(rest, scale, offset, least, found)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


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
        kernels.deconvolve_ar1(
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
def test_ar1_deconvolution_is_least_squares_over_all_frames_so_far(lag, gaps):
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


def test_ar1_deconvolution_may_forget_old_pools():
    values, _ = spiking(600, 4, 0.9)
    deep, _ = run_deconvolve(values, 0.9, lag=3, depth=512)
    shallow, _ = run_deconvolve(values, 0.9, lag=3, depth=32)
    np.testing.assert_allclose(shallow, deep, atol=1e-5)
