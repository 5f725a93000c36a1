"""How much each place of a field looks like the middle of a neuron.

Three looks, for no single one sees all: a soma filled by its indicator is a bright
disc; one whose nucleus stays dark is a ring; and one lost in bright neuropil, or in a
crowd, is a disc of pixels that brighten together.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from rtrecon.core.types import Array
from rtrecon.detection.activity import (
    shared_with_middle,
    shared_with_neighbours,
    to_activity,
)
from rtrecon.detection.matched_filter import Ideal, disc, likeness, likeness_of, ring
from rtrecon.detection.registered_movie import Report

# Likeness from which a place counts as a neuron; chosen by hand on the whole of one
# field marked by hand (neurofinder 00.00), so figures on it flatter. Many a bright
# thing is more or less a disc.
_RING_AT, _DISC_AT, _ACTIVE_AT = 0.38, 0.76, 0.70
# In diameters of a soma.
_TISSUE_WIDTH, _NEIGHBOUR_SIGMA = 3.0, 0.15
_CANDIDATES_APART, _MIDDLE_RADIUS = 0.4, 0.3


def weigh_evidence(
    mean: Array, bins: Array, diameter_px: float, report: Report
) -> Array:
    """Return (lines, pixels) float32: 1 where a place just counts as a middle.

    mean (lines, pixels), bins (n, lines, pixels), which become `activity` in place.
    """
    noise = to_activity(bins, round(_TISSUE_WIDTH * diameter_px), report)
    texture, per_count = _logarithm(mean)
    doubt = noise * per_count / np.sqrt(len(bins))
    bright = likeness(texture, doubt, disc(diameter_px)) / _DISC_AT
    rimmed = likeness(texture, doubt, ring(diameter_px)) / _RING_AT
    score = np.maximum(bright, rimmed)
    shared = shared_with_neighbours(bins, _NEIGHBOUR_SIGMA * diameter_px, report)
    candidates = _candidates(shared, diameter_px)
    for (row, col), active in _brighten_together(bins, candidates, diameter_px):
        score[row, col] = max(score[row, col], active / _ACTIVE_AT)
    return score.astype(np.float32)


def _logarithm(mean: Array) -> tuple[Array, Array]:
    """Return the log of brightness above the dark, and its slope per count.

    In the log, cells on dim and on bright tissue stand out alike. The dark is not
    known: as much again as separates the dimmest tissue from the middle is kept.
    """
    low, middle = np.percentile(mean, [1, 50])
    above = np.maximum(mean - low, 0) + max(middle - low, 1e-6)
    return np.log(above), 1 / above


def _candidates(shared: Array, diameter_px: float) -> Array:
    """Return (n, 2) row, col: where neighbours share most, and more than by chance."""
    smooth = gaussian_filter(shared, _NEIGHBOUR_SIGMA * diameter_px)
    reach = max(1, int(_CANDIDATES_APART * diameter_px))
    top = smooth == maximum_filter(smooth, size=2 * reach + 1)
    return np.argwhere(top & (smooth > 1))


def _brighten_together(
    activity: Array, candidates: Array, diameter_px: float
) -> Iterator[tuple[tuple[int, int], float]]:
    """Yield each candidate and how like a disc the pixels are that move with it."""
    ideal = disc(diameter_px)
    steps = np.arange(-ideal.reach, ideal.reach + 1)
    middle = np.hypot(steps[:, None], steps) <= _MIDDLE_RADIUS * diameter_px
    rows, cols = (_mirrored(side, ideal) for side in activity.shape[1:])
    for row, col in candidates.tolist():
        around = rows[row : row + len(steps), None], cols[col : col + len(steps)]
        shared = shared_with_middle(activity[:, *around], middle)
        yield (row, col), likeness_of(shared, len(activity) ** -0.5, ideal)


def _mirrored(side: int, ideal: Ideal) -> Array:
    return np.pad(np.arange(side), ideal.reach, mode="symmetric")
