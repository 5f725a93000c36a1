"""Each kind of neuron reaches a score of 1, noise does not."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.detection.center_score import compute_center_score
from tests.support import detection_world as world


def compute_score(recording, diameter_px=world.DIAMETER_PX):
    return compute_center_score(
        recording.mean, recording.bins, diameter_px, world.ignore_progress
    )


def best_score_near(score, center):
    """Return the best score within 2 px of a center."""
    row, col = center
    return score[row - 2 : row + 3, col - 2 : col + 3].max()


@pytest.mark.parametrize("kind", world.CENTERS)
def test_each_kind_of_neuron_is_found_without_the_others(kind):
    score = compute_score(world.make_movie([kind]))
    assert min(best_score_near(score, center) for center in world.CENTERS[kind]) > 1
    elsewhere = [c for other, cs in world.CENTERS.items() if other != kind for c in cs]
    assert max(best_score_near(score, center) for center in elsewhere) < 1


@pytest.mark.parametrize("seed", range(3))
def test_noise_stays_below_the_threshold(seed):
    assert compute_score(world.make_movie([], seed)).max() < 1


@pytest.fixture(scope="module")
def expected():
    """The score of a field with neurons of all kinds."""
    return compute_score(world.make_movie())


@pytest.mark.parametrize(("gain", "offset"), [(7.0, 0.0), (1.0, 900.0), (0.1, -300.0)])
def test_gain_and_offset_of_the_detector_do_not_change_the_score(
    expected, gain, offset
):
    other = world.make_movie()
    bins = (gain * other.bins + offset).astype(np.float32)
    mean = gain * other.mean + offset
    found = compute_center_score(mean, bins, world.DIAMETER_PX, world.ignore_progress)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_bleaching_and_flicker_do_not_count_as_activity():
    recording = world.make_movie([])
    fading = np.linspace(1.3, 0.7, world.N_BINS, dtype=np.float32)[:, None, None]
    recording.bins[:] *= fading * (1 + 0.1 * np.sin(np.arange(world.N_BINS) / 3))[
        :, None, None
    ].astype(np.float32)
    assert compute_score(recording).max() < 1


def test_neurons_of_another_diameter_score_lower():
    right = compute_score(world.make_movie(["disc"]))
    for wrong_px in (5.0, 20.0):
        wrong = compute_score(world.make_movie(["disc"]), wrong_px)
        for center in world.CENTERS["disc"]:
            assert best_score_near(wrong, center) < best_score_near(right, center)


def test_a_constant_field_stays_below_the_threshold():
    recording = world.make_movie([])
    recording.bins[:], recording.mean[:] = 100.0, 100.0
    assert compute_score(recording).max() < 1
