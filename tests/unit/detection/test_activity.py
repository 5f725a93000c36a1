"""Activity is separated from tissue, drift and noise."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.detection.activity import (
    compute_center_covariance,
    compute_neighbor_covariance,
    convert_to_activity,
)
from tests.support import detection_world as world

N, SIDE, NOISE_SD = 400, 40, 7.0
CENTER = np.s_[16:24, 16:24]
WHOLE = np.arange(SIDE), np.arange(SIDE)  # indices of lines and pixels


def noise(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(100, NOISE_SD, (N, SIDE, SIDE)).astype(np.float32)


def flashing(seed=0):
    """Noise, and a square in the middle that flashes in one bin of ten."""
    bins = noise(seed)
    flashes = np.random.default_rng(seed + 1).random(N) < 0.1
    bins[:, *CENTER] += (4 * NOISE_SD * flashes).astype(np.float32)[:, None, None]
    return bins


def test_noise_is_scaled_to_one_and_returned_in_counts():
    bins = noise()
    found = convert_to_activity(bins, 20, world.ignore_progress)
    np.testing.assert_allclose(found, NOISE_SD, rtol=0.2)
    assert bins.std() == pytest.approx(1, abs=0.02)
    assert bins.mean() == pytest.approx(0, abs=0.01)


def test_tissue_brightness_and_drift_are_removed():
    bins, drifting = noise(), noise()
    drifting += np.linspace(0, 300, N, dtype=np.float32)[:, None, None]  # bleaching
    drifting *= np.linspace(1, 1.2, SIDE, dtype=np.float32)  # a vessel's shade
    for movie in (bins, drifting):
        convert_to_activity(movie, 9, world.ignore_progress)
    inner = np.s_[50:-50, 10:-10, 10:-10]
    r = np.corrcoef(bins[inner].ravel(), drifting[inner].ravel())[0, 1]
    assert r > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_neighboring_pixels_covary_by_signal_and_not_by_noise(seed):
    shared = [
        compute_neighbor_covariance((bins - 100) / NOISE_SD, 1.5, world.ignore_progress)
        for bins in (noise(seed), flashing(seed))
    ]
    assert np.abs(shared[0]).max() < 3
    assert shared[1][CENTER].min() > 5


def test_center_covariance_is_high_in_the_neuron_and_without_self_covariance():
    middle = np.zeros((SIDE, SIDE), bool)
    middle[18:22, 18:22] = True
    silent = compute_center_covariance((noise() - 100) / NOISE_SD, WHOLE, middle)
    assert np.abs(silent).max() < 6 / np.sqrt(N)
    found = compute_center_covariance((flashing() - 100) / NOISE_SD, WHOLE, middle)
    outside = np.ones((SIDE, SIDE), bool)
    outside[CENTER] = False
    assert found[CENTER].min() > 0.5 > 0.25 > np.abs(found[outside]).max()


def test_center_covariance_equals_its_formula():
    activity, center = (noise() - 100) / NOISE_SD, np.eye(5, dtype=bool)
    rows, cols = np.array([2, 1, 0, 0, 1]), np.arange(30, 35)  # mirrored at the border
    patch = activity[:, rows[:, None], cols]
    trace = patch[:, center].mean(1)
    covariance = np.tensordot(trace, patch, 1) / N - center / 5
    expected = covariance / np.sqrt(np.square(trace).mean())
    found = compute_center_covariance(activity, (rows, cols), center)
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32 sums of 400


def test_progress_reaches_the_end():
    progress = []
    convert_to_activity(
        noise(), 9, lambda stage, share, _word: progress.append((stage, share))
    )
    assert progress[-1] == ("filtering", 1.0)
    assert progress == sorted(progress)
