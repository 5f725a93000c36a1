from __future__ import annotations

import numpy as np
import pytest

from rtrecon.imaging.timing.aligner import Tick
from rtrecon.imaging.timing.volume import Complete, Volume

NEURONS = [np.array([0, 3]), np.array([1, 2])]
PATIENCE = 4


def tick(index, *values):
    return Tick(index, np.array(values, np.float32), frame=index)


def told(volume, *steps):
    """Let planes tell of ticks; return (index, values) as they come out."""
    out = []
    for plane, ticks in steps:
        out += volume.add(plane, [Complete(tick, 10.0 + plane) for tick in ticks])
    return [(done.tick.index, done.tick.values.tolist()) for done in out]


@pytest.fixture
def volume():
    return Volume(NEURONS, PATIENCE)


def test_a_tick_waits_for_all_planes_and_keeps_the_neurons_order(volume):
    assert told(volume, (0, [tick(0, 1, 4)])) == []
    assert told(volume, (1, [tick(0, 2, 3)])) == [(0, [1, 2, 3, 4])]


def test_ticks_come_out_in_order(volume):
    steps = (0, [tick(0, 1, 1), tick(1, 5, 5)]), (1, [tick(0, 1, 1), tick(1, 5, 5)])
    assert [index for index, _ in told(volume, *steps)] == [0, 1]


def test_its_time_is_that_of_the_last_image_in_it(volume):
    volume.add(0, [Complete(tick(0, 1, 4), 1.0, late=True)])
    (done,) = volume.add(1, [Complete(tick(0, 2, 3), 2.0)])
    assert (done.t_received, done.late) == (2.0, True)


def test_a_silent_plane_is_waited_for_only_so_long(volume):
    ticks = [tick(k, k, k) for k in range(PATIENCE + 1)]
    ((index, values),) = told(volume, (0, ticks))
    assert index == 0
    np.testing.assert_array_equal(values, [0, np.nan, np.nan, 0])


def test_a_plane_that_catches_up_is_waited_for(volume):
    many = [Complete(tick(k, k, k), 10.0) for k in range(5 * PATIENCE)]
    assert volume.add(0, many, catching_up=True) == []
    done = volume.add(1, many, catching_up=True)
    assert [complete.tick.index for complete in done] == list(range(5 * PATIENCE))


def test_what_comes_too_late_changes_nothing(volume):
    told(volume, (0, [tick(k, k, k) for k in range(PATIENCE + 1)]))
    late = told(volume, (1, [tick(0, 9, 9), tick(1, 9, 9)]))
    assert late == [(1, [1, 9, 9, 1])]


def test_a_tick_that_one_plane_skips_has_no_values_of_it(volume):
    out = told(volume, (0, [tick(0, 1, 1), tick(1, 1, 1)]), (1, [tick(1, 2, 2)]))
    assert [index for index, _ in out] == [0, 1]
    np.testing.assert_array_equal(out[0][1], [1, np.nan, np.nan, 1])


def test_one_plane_alone_waits_for_nobody():
    volume = Volume([np.arange(2)], PATIENCE)
    assert told(volume, (0, [tick(0, 1, 2)])) == [(0, [1, 2])]
