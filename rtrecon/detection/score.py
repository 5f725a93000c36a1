"""Found neurons against known ones: how many are real, how many were missed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet


@dataclass(frozen=True)
class Score:
    """precision: share of the found that are real. recall: of the real that were found.

    f1: their harmonic mean. All 0 where there is nothing to divide by.
    """

    precision: float
    recall: float
    f1: float


def score(found: RoiSet, truth: RoiSet, max_distance_px: float = 5.0) -> Score:
    """Pair middles one to one, as many as lie within the distance of each other.

    Masks without pixels are nowhere: they count, but pair with nothing.
    """
    hits = len(pairs(found.centers(), truth.centers(), max_distance_px)[0])
    return Score(
        precision=hits / max(1, len(found)),
        recall=hits / max(1, len(truth)),
        f1=2 * hits / max(1, len(found) + len(truth)),
    )


def pairs(
    found: Array, truth: Array, max_distance_px: float = 5.0
) -> tuple[Array, Array]:
    """Return places of (n, 2) and (m, 2) middles that belong together, nearest first.

    The most pairs there can be; among as many, those with the shortest distances.
    """
    apart = cdist(found, truth)
    close = apart <= max_distance_px  # false for what is not a number
    costs = np.where(close, apart, 1e6 + max_distance_px)
    mine, theirs = linear_sum_assignment(costs)
    kept = close[mine, theirs]
    mine, theirs = mine[kept], theirs[kept]
    order = np.argsort(apart[mine, theirs])
    return mine[order], theirs[order]
