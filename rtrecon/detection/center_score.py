"""Scores how much each pixel of a field looks like the center of a neuron.

Three criteria, because no single one finds all neurons: a soma filled by its indicator
is a bright disc; a soma whose nucleus stays dark is a ring; and a soma hidden in bright
neuropil, or in a crowd, is a disc of pixels whose activity is correlated.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from rtrecon.core.threads import map_in_threads
from rtrecon.core.types import Array
from rtrecon.detection.activity import (
    compute_center_covariance,
    compute_neighbor_covariance,
    convert_to_activity,
)
from rtrecon.detection.matched_filter import (
    MatchedFilter,
    correlate_image,
    correlate_patch,
    make_disc_filter,
    make_ring_filter,
)
from rtrecon.detection.registered_movie import StageProgressCallback

# Correlation with the matched filter from which a pixel counts as a center. Chosen by
# hand on the whole of neurofinder 00.00, whose neurons were marked by hand; accuracy on
# that field is therefore too favourable. The threshold for discs is high, because many
# bright structures resemble a disc.
_MIN_RING, _MIN_DISC, _MIN_ACTIVE = 0.38, 0.76, 0.70
# In soma diameters.
_TISSUE_WIDTH, _NEIGHBOR_SIGMA = 3.0, 0.15
_CANDIDATE_DISTANCE, _CENTER_RADIUS = 0.4, 0.3


def compute_center_score(
    mean: Array, bins: Array, diameter_px: float, on_progress: StageProgressCallback
) -> Array:
    """Return (lines, pixels) float32; from 1 on, a pixel counts as a center.

    mean: (lines, pixels). bins: (n, lines, pixels); converted to activity in place.
    """
    noise = convert_to_activity(bins, round(_TISSUE_WIDTH * diameter_px), on_progress)
    texture, slope = _log_brightness(mean)
    texture_sd = noise * slope / np.sqrt(len(bins))
    disc, ring = make_disc_filter(diameter_px), make_ring_filter(diameter_px)
    score = np.maximum(
        correlate_image(texture, texture_sd, disc) / _MIN_DISC,
        correlate_image(texture, texture_sd, ring) / _MIN_RING,
    )
    sigma_px = _NEIGHBOR_SIGMA * diameter_px
    covariance = compute_neighbor_covariance(bins, sigma_px, on_progress)
    candidates = _find_candidates(covariance, diameter_px)
    for (row, col), active in _correlate_candidates(bins, candidates, diameter_px):
        score[row, col] = max(score[row, col], active / _MIN_ACTIVE)
    return score.astype(np.float32)


def _log_brightness(mean: Array) -> tuple[Array, Array]:
    """Return the log of brightness above the detector offset, and its slope per count.

    In the log, cells on dim and on bright tissue have the same contrast. The offset is
    estimated: the darkest pixels lie above it by their distance to the median.
    """
    low, median = np.percentile(mean, [1, 50])
    brightness = np.maximum(mean - low, 0) + max(median - low, 1e-6)
    return np.log(brightness), 1 / brightness


def _find_candidates(covariance: Array, diameter_px: float) -> Array:
    """Return (n, 2) row, col of local maxima of the covariance above noise."""
    smooth = gaussian_filter(covariance, _NEIGHBOR_SIGMA * diameter_px)
    reach = max(1, int(_CANDIDATE_DISTANCE * diameter_px))
    is_maximum = smooth == maximum_filter(smooth, size=2 * reach + 1)
    return np.argwhere(is_maximum & (smooth > 1))


def _correlate_candidates(
    activity: Array, candidates: Array, diameter_px: float
) -> Iterator[tuple[tuple[int, int], float]]:
    """Yield each candidate, and how much the pixels active with it resemble a disc."""
    disc = make_disc_filter(diameter_px)
    steps = np.arange(-disc.reach, disc.reach + 1)
    center = np.hypot(steps[:, None], steps) <= _CENTER_RADIUS * diameter_px
    rows, cols = (_mirror_indices(side, disc) for side in activity.shape[1:])

    def correlate(candidate: Array) -> float:
        row, col = candidate
        around = rows[row : row + len(steps)], cols[col : col + len(steps)]
        covariance = compute_center_covariance(activity, around, center)
        return correlate_patch(covariance, len(activity) ** -0.5, disc)

    correlations = map_in_threads(correlate, candidates)
    yield from zip(candidates.tolist(), correlations, strict=True)


def _mirror_indices(side: int, matched_filter: MatchedFilter) -> Array:
    return np.pad(np.arange(side), matched_filter.reach, mode="symmetric")
