"""Signal, tissue, drift and noise are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.detection.activity import (
    shared_with_middle,
    shared_with_neighbours,
    to_activity,
)
from tests.support import detection_world as world

N, SIDE, NOISE_SD = 400, 40, 7.0
MIDDLE = np.s_[16:24, 16:24]


def noise(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(100, NOISE_SD, (N, SIDE, SIDE)).astype(np.float32)


def flashing(seed=0):
    """Noise, and a square in the middle that flashes in one bin of ten."""
    bins = noise(seed)
    flashes = np.random.default_rng(seed + 1).random(N) < 0.1
    bins[:, *MIDDLE] += (4 * NOISE_SD * flashes).astype(np.float32)[:, None, None]
    return bins


def test_noise_becomes_one_and_is_returned_in_counts():
    bins = noise()
    found = to_activity(bins, 20, world.quiet)
    np.testing.assert_allclose(found, NOISE_SD, rtol=0.2)
    assert bins.std() == pytest.approx(1, abs=0.02)
    assert bins.mean() == pytest.approx(0, abs=0.01)


def test_tissue_and_drift_are_taken_off():
    bins, drifting = noise(), noise()
    drifting += np.linspace(0, 300, N, dtype=np.float32)[:, None, None]  # bleaching
    drifting *= np.linspace(1, 1.2, SIDE, dtype=np.float32)  # a vessel's shade
    for movie in (bins, drifting):
        to_activity(movie, 9, world.quiet)
    inner = np.s_[50:-50, 10:-10, 10:-10]
    r = np.corrcoef(bins[inner].ravel(), drifting[inner].ravel())[0, 1]
    assert r > 0.99


@pytest.mark.parametrize("seed", range(3))
def test_neighbours_share_signal_but_no_noise(seed):
    shared = [
        shared_with_neighbours((bins - 100) / NOISE_SD, 1.5, world.quiet)
        for bins in (noise(seed), flashing(seed))
    ]
    assert np.abs(shared[0]).max() < 3
    assert shared[1][MIDDLE].min() > 5


def test_the_middle_shares_with_its_own_and_not_with_itself():
    middle = np.zeros((SIDE, SIDE), bool)
    middle[18:22, 18:22] = True
    silent = shared_with_middle((noise() - 100) / NOISE_SD, middle)
    assert np.abs(silent).max() < 6 / np.sqrt(N)
    found = shared_with_middle((flashing() - 100) / NOISE_SD, middle)
    outside = np.ones((SIDE, SIDE), bool)
    outside[MIDDLE] = False
    assert found[MIDDLE].min() > 0.5 > 0.25 > np.abs(found[outside]).max()


def test_progress_reaches_the_end():
    told = []
    to_activity(noise(), 9, lambda stage, share, _word: told.append((stage, share)))
    assert told[-1] == ("filtering", 1.0)
    assert told == sorted(told)
