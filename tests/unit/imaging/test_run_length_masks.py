from __future__ import annotations

import numpy as np
import pytest

from rtrecon.imaging.traces.run_length_masks import MaskPixels, MaskSums
from tests.support.rounding import float32_tolerance

SHAPE = (23, 71)


def disc(row, col, radius):
    rows, cols = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(rows - row, cols - col) <= radius


# masks, as images of what belongs to each
MASKS = {
    "none": [],
    "an empty one": [np.zeros(SHAPE, bool)],
    "one pixel": [disc(4, 5, 0)],
    "corners": [disc(0, 0, 0), disc(22, 70, 0)],
    "the whole field": [np.ones(SHAPE, bool)],
    "a column from end to end, beside another": [
        np.arange(SHAPE[1]) == np.full((SHAPE[0], 1), column) for column in (3, 4)
    ],
    "discs that overlap": [disc(8, 20, 6), disc(10, 25, 6), disc(8, 20, 6)],
    "a ring": [disc(11, 40, 9) & ~disc(11, 40, 4)],
    "far from each other in a row": [disc(5, 3, 2), disc(5, 60, 2)],
    "scattered pixels": [np.random.default_rng(0).random(SHAPE) < 0.3],
}


def pixels_of(masks):
    indices = [np.nonzero(mask) for mask in masks]
    owner = np.repeat(np.arange(len(masks)), [len(rows) for rows, _ in indices])
    rows, cols = (
        np.concatenate([np.zeros(0, int), *[p[axis] for p in indices]])
        for axis in (0, 1)
    )
    return MaskPixels(len(masks), SHAPE, owner, rows, cols)


@pytest.mark.parametrize("case", MASKS)
def test_mask_sums_equal_numpy_sums(case):
    masks = MASKS[case]
    image = np.random.default_rng(1).normal(100, 30, SHAPE).astype(np.float32)
    out = np.full(len(masks), np.nan, np.float32)
    MaskSums(pixels_of(masks)).compute_sums(image, out)
    for found, mask in zip(out, masks, strict=True):
        expected = image[mask].sum(dtype=float)
        # The kernel sums whole columns, then the differences at the ends of its runs.
        magnitude = float(expected + image.sum(0).max())
        tolerance = float32_tolerance(int(mask.sum()), magnitude)
        assert found == pytest.approx(expected, rel=0, abs=tolerance)


def test_sums_do_not_depend_on_the_image_before():
    sums = MaskSums(pixels_of(MASKS["discs that overlap"]))
    out, again = np.empty((2, 3), np.float32)
    image = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    sums.compute_sums(image, out)
    sums.compute_sums(np.full(SHAPE, 1e4, np.float32), again)
    sums.compute_sums(image, again)
    np.testing.assert_array_equal(out, again)
