"""Every kind of neuron is seen by the look that is meant for it, noise by none."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.detection.evidence import weigh_evidence
from tests.support import detection_world as world


def score_of(recording, diameter_px=world.DIAMETER_PX):
    return weigh_evidence(recording.mean, recording.bins, diameter_px, world.quiet)


def near(score, place):
    """The best score within 2 px of a place."""
    row, col = place
    return score[row - 2 : row + 3, col - 2 : col + 3].max()


@pytest.mark.parametrize("kind", world.PLACES)
def test_each_kind_is_seen_without_the_others(kind):
    score = score_of(world.steady([kind]))
    assert min(near(score, place) for place in world.PLACES[kind]) > 1
    elsewhere = [p for other, at in world.PLACES.items() if other != kind for p in at]
    assert max(near(score, place) for place in elsewhere) < 1


@pytest.mark.parametrize("seed", range(3))
def test_noise_looks_like_nothing(seed):
    assert score_of(world.steady([], seed)).max() < 1


@pytest.mark.parametrize(("gain", "offset"), [(7.0, 0.0), (1.0, 900.0), (0.1, -300.0)])
def test_the_detector_of_light_does_not_matter(gain, offset):
    expected = score_of(world.steady())
    other = world.steady()
    bins = (gain * other.bins + offset).astype(np.float32)
    mean = gain * other.mean + offset
    found = weigh_evidence(mean, bins, world.DIAMETER_PX, world.quiet)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_bleaching_and_flicker_are_no_activity():
    recording = world.steady([])
    fading = np.linspace(1.3, 0.7, world.N_BINS, dtype=np.float32)[:, None, None]
    recording.bins[:] *= fading * (1 + 0.1 * np.sin(np.arange(world.N_BINS) / 3))[
        :, None, None
    ].astype(np.float32)
    assert score_of(recording).max() < 1


def test_what_is_too_large_or_too_small_is_another_thing():
    right = score_of(world.steady(["disc"]))
    for wrong_px in (5.0, 20.0):
        wrong = score_of(world.steady(["disc"]), wrong_px)
        for place in world.PLACES["disc"]:
            assert near(wrong, place) < near(right, place)


def test_a_dead_field_is_no_evidence():
    recording = world.steady([])
    recording.bins[:], recording.mean[:] = 100.0, 100.0
    assert score_of(recording).max() < 1
