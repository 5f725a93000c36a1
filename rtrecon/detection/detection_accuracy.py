"""Compares found neurons with reference neurons: precision and recall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet


@dataclass(frozen=True)
class DetectionAccuracy:
    """precision: share of found neurons that are real.

    recall: share of real neurons that were found. f1: harmonic mean of both. All are 0
    if there is nothing to divide by.
    """

    precision: float
    recall: float
    f1: float


def score_detection(
    found: RoiSet, truth: RoiSet, max_distance_px: float = 5.0
) -> DetectionAccuracy:
    """Pair as many centers as lie within the distance of each other, one to one.

    Masks without pixels have no center: they count, but pair with nothing.
    """
    paired, _ = pair_centers(
        found.compute_centers(), truth.compute_centers(), max_distance_px
    )
    n_paired = len(paired)
    return DetectionAccuracy(
        precision=n_paired / max(1, len(found)),
        recall=n_paired / max(1, len(truth)),
        f1=2 * n_paired / max(1, len(found) + len(truth)),
    )


def pair_centers(
    found: Array, truth: Array, max_distance_px: float = 5.0
) -> tuple[Array, Array]:
    """Return indices of paired centers (n, 2) and (m, 2) in px, nearest pairs first.

    The number of pairs is as large as possible; among equal numbers, the sum of the
    distances is as small as possible.
    """
    distance_px = cdist(found, truth)
    is_close = distance_px <= max_distance_px  # False for NaN
    costs = np.where(is_close, distance_px, 1e6 + max_distance_px)
    found_indices, truth_indices = linear_sum_assignment(costs)
    is_pair = is_close[found_indices, truth_indices]
    found_indices, truth_indices = found_indices[is_pair], truth_indices[is_pair]
    order = np.argsort(distance_px[found_indices, truth_indices])
    return found_indices[order], truth_indices[order]
