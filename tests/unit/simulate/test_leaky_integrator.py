"""Integration with a leak: each input decays by a constant factor per step."""

from __future__ import annotations

import numpy as np

from rtrecon.simulate.leaky_integrator import integrate_with_leak


def test_an_impulse_decays_by_the_persistence_in_each_step():
    impulse = np.zeros((6, 1))
    impulse[1] = 2.0
    found = integrate_with_leak(impulse, 0.5)[:, 0]
    np.testing.assert_array_equal(found, [0, 2, 1, 0.5, 0.25, 0.125])


def test_columns_are_independent_and_counts_become_float():
    counts = np.array([[1, 0], [1, 0], [0, 4]])
    found = integrate_with_leak(counts, 0.5)
    np.testing.assert_array_equal(found, [[1, 0], [1.5, 0], [0.75, 4]])
    np.testing.assert_array_equal(counts, [[1, 0], [1, 0], [0, 4]])


def test_a_recording_without_frames_stays_empty():
    assert integrate_with_leak(np.zeros((0, 3)), 0.9).shape == (0, 3)
