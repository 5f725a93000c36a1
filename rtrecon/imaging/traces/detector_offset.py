"""What the detector reads in the dark, told from how light and its noise go together.

Photons arrive by chance: a pixel's variance over time is proportional to its light. So
variance against mean, over dim and bright pixels, is a line, and where it meets zero
variance there is no light (photon transfer). Read noise moves that point down by its
variance / gain, a count or a few; what is too low only scales dF/F, slightly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array

# Groups of pixels of like brightness; of at least so many pixels each.
_GROUPS, _LEAST_PIXELS = 40, 25
_LEAST_FRAMES = 10
# Times the median: pairs of frames that differ more are not used.
_USUAL = 1.3
# Correlation of variance with mean under which this is not a detector's noise.
_LEAST_R = 0.95


@dataclass(frozen=True)
class Dark:
    """counts: what a pixel reads without light, to within error_counts (95 %).

    counts_per_photon: the gain, as far as frames were not averaged or filtered.
    """

    counts: float
    error_counts: float
    counts_per_photon: float


def find_dark(frames: Array | list[Array]) -> Dark | None:
    """Return the dark level of raw frames (n, lines, pixels), as they were read.

    None where it cannot be told: fewer than 10 frames, a field without contrast, or
    noise that does not grow with light. Saturated or clipped pixels bend the line.
    About 4 ms per frame of 512 x 512.
    """
    if len(frames) < _LEAST_FRAMES or frames[0].size < _GROUPS * _LEAST_PIXELS:
        return None
    # Sorted by other frames than are measured, lest chance sort its own noise.
    order = np.argsort(np.mean(frames[::3], axis=0, dtype=float), axis=None)
    groups = np.empty(order.size, np.int64)
    groups[order] = np.arange(order.size) * _GROUPS // order.size
    light, variance = _measured(frames, groups)
    if not np.ptp(light) or not np.ptp(variance):
        return None
    if np.corrcoef(light, variance)[0, 1] < _LEAST_R:
        return None
    return _meeting_zero(light, variance)


def _measured(frames: Array | list[Array], groups: Array) -> tuple[Array, Array]:
    """Mean, and half the mean square of frame-to-frame changes: (groups,) each.

    Between neighbours little moves, and pairs between which much did are left out.
    """
    pixels = np.bincount(groups)
    pairs = list(zip(frames[1::3], frames[2::3], strict=False))
    light, changes = np.empty((2, len(pairs), len(pixels)))
    for k, (before, after) in enumerate(pairs):
        change = np.subtract(after, before, dtype=np.float32).ravel()
        both = np.add(after, before, dtype=np.float32).ravel()
        light[k] = np.bincount(groups, both) / (2 * pixels)
        changes[k] = np.bincount(groups, change * change) / (2 * pixels)
    changed = changes.sum(1)
    usual = changed <= _USUAL * np.median(changed)
    return light[usual].mean(0), changes[usual].mean(0)


def _meeting_zero(light: Array, variance: Array) -> Dark | None:
    slope, low, high = robust_slope(light, variance)
    if not low > 0:
        return None
    middle, there = float(np.median(light)), float(np.median(variance))
    found = (middle - there / slope, middle - there / low, middle - there / high)
    # Nothing is darker than the dark.
    counts = min(found[0], float(light.min()))
    return Dark(counts, (found[2] - found[1]) / 2, slope)


def robust_slope(x: Array, y: Array) -> tuple[float, float, float]:
    """Return the median slope between points, and its 95 % limits (Sen 1968).

    What `scipy.stats.theilslopes` tells, whose import takes longer than all others of a
    daemon together. x: no two alike.
    """
    n = len(x)
    one, other = np.triu_indices(n, 1)
    slopes = np.sort((y[other] - y[one]) / (x[other] - x[one]))
    spread = 1.96 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(round((len(slopes) - spread) / 2) - 1, 0)
    high = min(round((len(slopes) + spread) / 2), len(slopes) - 1)
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])
