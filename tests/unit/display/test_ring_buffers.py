"""Ring buffers keep the newest frames under their index, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.display.ring_buffers import ColumnRing, ImageRing

N_COLUMNS = 5
# received frames -> the five frames up to the newest (-1: not received)
RECEIVED = {
    "none": ([], [-1, -1, -1, -1, -1]),
    "fewer than the ring holds": ([0, 1, 2], [-1, -1, 0, 1, 2]),
    "more than the ring holds": (range(12), [7, 8, 9, 10, 11]),
    "with missing frames": ([0, 1, 2, 5, 6], [2, -1, -1, 5, 6]),
    "after a long gap": ([0, 1, 2, 90], [-1, -1, -1, -1, 90]),
    "with a count that starts again": ([7, 8, 9, 0, 1], [-1, -1, -1, 0, 1]),
}


@pytest.mark.parametrize(("indices", "expected"), RECEIVED.values(), ids=RECEIVED)
def test_the_newest_columns_are_returned_and_missing_ones_are_nan(indices, expected):
    ring = ColumnRing(2, N_COLUMNS)
    for index in indices:
        ring.put(index, np.array([index, -index], np.float32))
    row = np.array([[np.nan if i < 0 else i for i in expected]])
    np.testing.assert_array_equal(ring.columns_until(ring.newest_index)[:1], row)
    np.testing.assert_array_equal(ring.columns_until(ring.newest_index)[1:], -row)


@pytest.mark.parametrize("shift", [-7, -2, 2, 7])
def test_columns_outside_the_stored_range_are_nan(shift):
    ring = ColumnRing(1, N_COLUMNS)
    for index in range(20):
        ring.put(index, np.array([index], np.float32))
    indices = np.arange(15, 20) + shift
    expected = np.where((indices >= 15) & (indices < 20), indices, np.nan)
    np.testing.assert_array_equal(ring.columns_until(19 + shift), [expected])


def image(index: int) -> np.ndarray:
    return np.full((36, 64), index, np.uint8)


def test_an_image_ring_is_limited_in_frames_and_finds_frames_just_before():
    ring = ImageRing(max_frames=10, max_bytes=2**20)
    for i in range(50):
        ring.put(i, image(i))
    # Frames 40 to 49 are stored, so 51 is found as 49, and 38 is not found.
    assert [ring.find_near(i) is None for i in (38, 40, 49, 51, 52)] == [
        True,
        False,
        False,
        False,
        True,
    ]
    assert ring.n_bytes == 10 * image(0).nbytes


def test_an_image_ring_is_limited_in_bytes():
    ring = ImageRing(max_frames=100, max_bytes=3 * image(0).nbytes)
    for i in range(51):
        ring.put(i, image(i))
    assert [ring.find_near(i) is None for i in (45, 48, 50)] == [True, False, False]
    assert ring.oldest_index == 48
