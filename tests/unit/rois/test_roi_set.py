"""`RoiSet`: weights, transposition, and masks that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.rois.roi_set import build_roi_set

SHAPE = (20, 30)


def make_pixels(rows, cols, weights):
    return np.array(rows), np.array(cols), np.array(weights, np.float32)


def test_weights_that_sum_to_one_are_not_scaled_again():
    rng = np.random.default_rng(0)
    pixels = [make_pixels(range(20), range(20), rng.random(20)) for _ in range(50)]
    once = build_roi_set(np.arange(50), SHAPE, pixels)
    sums = np.add.reduceat(once.weights, once.indptr[:-1])
    np.testing.assert_allclose(sums, 1, rtol=1e-5)
    twice = build_roi_set(once.ids, SHAPE, once.list_pixels())
    np.testing.assert_array_equal(twice.weights, once.weights)


def test_transposing_twice_gives_the_same_set():
    rois = build_roi_set(
        [5], SHAPE, [make_pixels([1, 2], [3, 29], [1, 1])], np.array([2])
    )
    swapped = rois.transpose()
    assert swapped.shape == (30, 20)
    assert (swapped.rows.tolist(), swapped.cols.tolist()) == ([3, 29], [1, 2])
    assert (swapped.ids.tolist(), swapped.planes.tolist()) == ([5], [2])
    assert swapped.transpose().rows.tolist() == [1, 2]


# one neuron's pixels -> words of the sentence
BAD = {
    "below": (make_pixels([20], [3], [1]), r"ROI 8 reaches pixel \(20, 3\), outside"),
    "right": (make_pixels([2], [30], [1]), r"ROI 8 reaches pixel \(2, 30\), outside"),
    "above": (make_pixels([-1], [3], [1]), r"ROI 8 reaches pixel \(-1, 3\), outside"),
    "not a number": (
        make_pixels([1, 2], [3, 4], [1, np.nan]),
        "ROI 8 has weights .* nan",
    ),
    "endless": (make_pixels([1, 2], [3, 4], [1, np.inf]), "ROI 8 has weights .* inf"),
    "all zero": (
        make_pixels([1, 2], [3, 4], [0, 0]),
        "ROI 8 has weights that sum to 0",
    ),
    "one too few": (
        make_pixels([1, 2], [3, 4], [1]),
        "ROI 8 has 2 rows, 2 .* 1 weights",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_impossible_masks_are_refused_by_id(case):
    pixels, words = BAD[case]
    good = make_pixels([1], [1], [1])
    with pytest.raises(UserError, match=words):
        build_roi_set(np.array([7, 8]), SHAPE, [good, pixels])


def test_an_id_given_twice_is_refused():
    good = make_pixels([1], [1], [1])
    with pytest.raises(UserError, match="2 ROIs have the id 7"):
        build_roi_set(np.array([3, 7, 7]), SHAPE, [good] * 3)
