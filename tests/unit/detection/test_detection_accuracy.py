"""Precision and recall of neurons whose correct pairing is known."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.detection.detection_accuracy import (
    DetectionAccuracy,
    pair_centers,
    score_detection,
)
from rtrecon.rois.roi_set import build_roi_set

NO_PIXELS = None
# found, truth (centers), precision, recall
CASES = {
    "the same": ([(5, 5), (20, 20)], [(20, 20), (5, 5)], 1.0, 1.0),
    "one missed": ([(5, 5)], [(5, 5), (20, 20)], 1.0, 0.5),
    "one false": ([(5, 5), (30, 5)], [(5, 5)], 0.5, 1.0),
    "just near enough": ([(5, 5)], [(8, 9)], 1.0, 1.0),
    "just too far": ([(5, 5)], [(8, 10)], 0.0, 0.0),
    "one neuron counts once": ([(5, 5), (6, 5)], [(5, 6)], 0.5, 1.0),
    "most pairs, not nearest": ([(5, 5), (5, 9)], [(5, 8), (5, 13)], 1.0, 1.0),
    "nothing found": ([], [(5, 5)], 0.0, 0.0),
    "no real neuron": ([(5, 5)], [], 0.0, 0.0),
    "neither": ([], [], 0.0, 0.0),
    "an empty mask": ([(5, 5), NO_PIXELS], [(5, 5)], 0.5, 1.0),
}


def make_spots(centers):
    """Masks of one pixel each; NO_PIXELS is a mask without any."""
    pixels = [
        tuple(np.array([[*center, 1]]).T) if center else (np.empty(0, int),) * 3
        for center in centers
    ]
    return build_roi_set(np.arange(len(centers)), (40, 40), pixels)


@pytest.mark.parametrize("case", CASES)
def test_precision_and_recall(case):
    found, truth, precision, recall = CASES[case]
    result = score_detection(make_spots(found), make_spots(truth), max_distance_px=5)
    assert (result.precision, result.recall) == (precision, recall)


def test_f1_is_their_harmonic_mean():
    found = make_spots([(5, 5), (20, 20), (30, 5), (35, 35)])
    truth = make_spots([(5, 5), (20, 20), (10, 35)])
    assert score_detection(found, truth) == DetectionAccuracy(
        0.5, pytest.approx(2 / 3), pytest.approx(4 / 7)
    )


def test_pairs_come_nearest_first():
    found = np.array([(0.0, 0.0), (10.0, 0.0), (20.0, 0.0)])
    truth = np.array([(20.0, 0.5), (0.0, 2.0), (10.0, 1.0)])
    indices, truth_indices = pair_centers(found, truth)
    assert (indices.tolist(), truth_indices.tolist()) == ([2, 1, 0], [0, 2, 1])
