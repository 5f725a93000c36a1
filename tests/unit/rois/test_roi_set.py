from __future__ import annotations

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.rois.roi_set import from_pixels

SHAPE = (20, 30)


def neuron(rows, cols, weights):
    return np.array(rows), np.array(cols), np.array(weights, np.float32)


def test_weights_are_scaled_once_and_then_left_as_they_are():
    rng = np.random.default_rng(0)
    pixels = [neuron(range(20), range(20), rng.random(20)) for _ in range(50)]
    once = from_pixels(np.arange(50), SHAPE, pixels)
    sums = np.add.reduceat(once.weights, once.indptr[:-1])
    np.testing.assert_allclose(sums, 1, rtol=1e-5)
    twice = from_pixels(once.ids, SHAPE, once.pixels())
    np.testing.assert_array_equal(twice.weights, once.weights)


def test_transposed_twice_is_as_before():
    rois = from_pixels([5], SHAPE, [neuron([1, 2], [3, 29], [1, 1])], np.array([2]))
    swapped = rois.transposed()
    assert swapped.shape == (30, 20)
    assert (swapped.rows.tolist(), swapped.cols.tolist()) == ([3, 29], [1, 2])
    assert (swapped.ids.tolist(), swapped.planes.tolist()) == ([5], [2])
    assert swapped.transposed().rows.tolist() == [1, 2]


# one neuron's pixels -> words of the sentence
BAD = {
    "below": (neuron([20], [3], [1]), r"ROI 8 reaches pixel \(20, 3\), outside"),
    "right": (neuron([2], [30], [1]), r"ROI 8 reaches pixel \(2, 30\), outside"),
    "above": (neuron([-1], [3], [1]), r"ROI 8 reaches pixel \(-1, 3\), outside"),
    "no number": (neuron([1, 2], [3, 4], [1, np.nan]), "ROI 8 has weights .* nan"),
    "endless": (neuron([1, 2], [3, 4], [1, np.inf]), "ROI 8 has weights .* inf"),
    "all zero": (neuron([1, 2], [3, 4], [0, 0]), "ROI 8 has weights that sum to 0"),
    "one too few": (neuron([1, 2], [3, 4], [1]), "ROI 8 has 2 rows, 2 .* 1 weights"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_a_mask_is_named(case):
    pixels, words = BAD[case]
    good = neuron([1], [1], [1])
    with pytest.raises(UserError, match=words):
        from_pixels(np.array([7, 8]), SHAPE, [good, pixels])


def test_an_id_can_be_given_once_only():
    good = neuron([1], [1], [1])
    with pytest.raises(UserError, match="2 ROIs have the id 7"):
        from_pixels(np.array([3, 7, 7]), SHAPE, [good] * 3)
