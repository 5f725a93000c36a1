"""Columns by encoder frame: in their place, and only the newest."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.display.ring import FrameRing

COLUMNS = 5
# frames that come -> what is there of the five until the newest (-1: nothing)
COMING = {
    "none": ([], [-1, -1, -1, -1, -1]),
    "a few": ([0, 1, 2], [-1, -1, 0, 1, 2]),
    "many": (range(12), [7, 8, 9, 10, 11]),
    "with a hole": ([0, 1, 2, 5, 6], [2, -1, -1, 5, 6]),
    "after a long hole": ([0, 1, 2, 90], [-1, -1, -1, -1, 90]),
    "from the start again": ([7, 8, 9, 0, 1], [-1, -1, -1, 0, 1]),
}


@pytest.mark.parametrize(("indices", "left"), COMING.values(), ids=COMING)
def test_what_is_left(indices, left):
    ring = FrameRing(2, COLUMNS)
    for index in indices:
        ring.put(index, np.array([index, -index], np.float32))
    expected = np.array([[np.nan if i < 0 else i for i in left]])
    np.testing.assert_array_equal(ring.until(ring.newest)[:1], expected)
    np.testing.assert_array_equal(ring.until(ring.newest)[1:], -expected)


@pytest.mark.parametrize("shift", [-7, -2, 2, 7])
def test_a_look_at_another_time_finds_nothing_else(shift):
    ring = FrameRing(1, COLUMNS)
    for index in range(20):
        ring.put(index, np.array([index], np.float32))
    frames = np.arange(15, 20) + shift
    known = np.where((frames >= 15) & (frames < 20), frames, np.nan)
    np.testing.assert_array_equal(ring.until(19 + shift), [known])
