"""Detector offset: the counts that a pixel reads without light, from photon noise.

Photon counts follow a Poisson distribution, so a pixel's variance over time is
proportional to its light. Variance against mean, over dim and bright pixels, is a line;
where it meets zero variance there is no light (photon transfer, Janesick 2007). Read
noise moves that point down by its variance divided by the gain, by one count or a few;
an offset that is too low only scales dF/F a little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array

# Groups of pixels of similar brightness, and the fewest pixels in each.
_GROUPS, _MIN_GROUP_PIXELS = 40, 25
_MIN_FRAMES = 10
# Times the median: pairs of frames that differ more are not used.
_MAX_RELATIVE_CHANGE = 1.3
# With a lower correlation of variance and mean, this is not the noise of a detector.
_MIN_CORRELATION = 0.95


@dataclass(frozen=True)
class Brightness:
    """How bright the darkest and the brightest pixels are over time, in counts.

    Means of the 1/40 of the pixels that is darkest, and of that which is brightest.
    error_counts: three s.d. of the mean of the darkest.
    """

    darkest: float
    brightest: float
    error_counts: float

    @property
    def contrast(self) -> float:
        """Difference of the brightest and the darkest pixels."""
        return self.brightest - self.darkest


@dataclass(frozen=True)
class DetectorOffset:
    """counts: what a pixel reads without light, to within error_counts (95 %).

    counts_per_photon: the gain, provided that frames were not averaged or filtered.
    """

    counts: float
    error_counts: float
    counts_per_photon: float


def estimate_detector_offset(frames: Array | list[Array]) -> DetectorOffset | None:
    """Return the detector offset of raw frames (n, lines, pixels).

    None where it cannot be estimated: fewer than 10 frames, a field without contrast,
    or noise that does not grow with light. Saturated or clipped pixels bend the line.
    Takes about 4 ms per frame of 512 x 512.
    """
    if len(frames) < _MIN_FRAMES or frames[0].size < _GROUPS * _MIN_GROUP_PIXELS:
        return None
    light, variance = _measure_light_and_variance(frames, _group_by_brightness(frames))
    if not np.ptp(light) or not np.ptp(variance):
        return None
    if np.corrcoef(light, variance)[0, 1] < _MIN_CORRELATION:
        return None
    return _extrapolate_to_darkness(light, variance)


def measure_brightness(frames: Array | list[Array]) -> Brightness:
    """Return the brightness of raw frames (n, lines, pixels); few frames are enough."""
    frames = frames if len(frames) > 2 else [frames[0]] * 3
    groups = _group_by_brightness(frames)
    light, variance = _measure_light_and_variance(frames, groups)
    darkest = int(light.argmin())
    n_values = np.count_nonzero(groups == darkest) * 2 * (len(frames) // 3)
    error_counts = 3 * math.sqrt(variance[darkest] / n_values)
    return Brightness(float(light[darkest]), float(light.max()), error_counts)


def _group_by_brightness(frames: Array | list[Array]) -> Array:
    """Return the group of each pixel, (lines * pixels,), from dark to bright.

    Pixels are sorted by other frames than those measured; otherwise they would be
    sorted by their own noise.
    """
    order = np.argsort(np.mean(frames[::3], axis=0, dtype=float), axis=None)
    groups = np.empty(order.size, np.int64)
    groups[order] = np.arange(order.size) * min(_GROUPS, order.size) // order.size
    return groups


def _measure_light_and_variance(
    frames: Array | list[Array], groups: Array
) -> tuple[Array, Array]:
    """Return mean, and half the mean square change between frames: (groups,) each.

    Little moves between successive frames; pairs between which much moved are left out.
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
    is_usual = changed <= _MAX_RELATIVE_CHANGE * np.median(changed)
    return light[is_usual].mean(0), changes[is_usual].mean(0)


def _extrapolate_to_darkness(light: Array, variance: Array) -> DetectorOffset | None:
    """Return the light at which the line through variance meets zero."""
    slope, low, high = fit_robust_slope(light, variance)
    if not low > 0:
        return None
    middle, variance_there = float(np.median(light)), float(np.median(variance))
    counts, lowest, highest = (middle - variance_there / s for s in (slope, low, high))
    # No pixel can be darker than without light.
    counts = min(counts, float(light.min()))
    return DetectorOffset(counts, (highest - lowest) / 2, slope)


def fit_robust_slope(x: Array, y: Array) -> tuple[float, float, float]:
    """Return the median slope between points, and its 95 % limits (Sen 1968).

    The same as `scipy.stats.theilslopes`, whose import takes longer than all others of
    a daemon together. x: no two values equal.
    """
    n = len(x)
    first, second = np.triu_indices(n, 1)
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first]))
    spread = 1.96 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(round((len(slopes) - spread) / 2) - 1, 0)
    high = min(round((len(slopes) + spread) / 2), len(slopes) - 1)
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])
