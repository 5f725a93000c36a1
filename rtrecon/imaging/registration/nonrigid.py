"""Row-wise registration: one shift for each strip of lines of a frame.

A frame is scanned line by line, and the brain moves meanwhile. Each strip of lines is
correlated with the template around the frame's own shift, on a coarse level first. The
peak of that correlation gives the strip's shift, and the sharpness of the peak gives
its information. A random walk from strip to strip then combines a strip with its
neighbours: a strip with few structures takes the shift of the strips around it.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels
from rtrecon.imaging.registration.rigid import CorrelationPeak, RigidSearch

STRIP_LINES = 16
# 0.3 px s.d. from strip to strip: 1.8 px over 512 lines. Among 0.05 to 0.5, this value
# has the least error on paths of 2 px s.d. that turn within 40 to 130 lines.
_WALK_VARIANCE_PX2 = 0.1
# The coarsest level used is a quarter as large as the frame. There strips are searched
# up to 2 px (8 px of the frame) away from the frame's shift; on finer levels up to 1 px
# away from the result of the coarser one.
_COARSEST_LEVEL, _COARSEST_REACH, _REACH = 2, 2, 1
_MIN_SCORE, _MAX_SCORE = 1e-6, 0.99
# In 1 / px², of all strips together; with less, the path would not be defined.
_MIN_INFORMATION = 1e-9


class StripSearch:
    """Finds the shift of every strip of a frame whose rigid shift is known.

    strip_rows: (n,) float, the middle line of each strip. score: the mean correlation
    of the strips of the last frame at the shifts found.
    """

    def __init__(self, search: RigidSearch) -> None:
        lines, pixels = search.levels[0].pattern.shape
        count = max(2, lines // STRIP_LINES)
        edges = np.append(np.arange(count) * (lines // count), lines)
        self.strip_rows = (edges[:-1] + edges[1:] - 1) / 2
        self.score = 0.0
        self._search = search
        self._line = np.empty(pixels, np.float32)

    def find_shifts(self, peak: CorrelationPeak) -> Array:
        """Return (n, 2) shifts (y, x) in px, given the frame's own, just found."""
        shifts = np.tile((peak.y, peak.x), (len(self.strip_rows), 1))
        coarsest = min(_COARSEST_LEVEL, len(self._search.levels) - 1)
        for scale in range(coarsest, -1, -1):
            reach = _COARSEST_REACH if scale == coarsest else _REACH
            shifts = self._refine_shifts(shifts, scale, reach)
        return shifts

    def _refine_shifts(self, shifts: Array, scale: int, reach: int) -> Array:
        factor, level = 2**scale, self._search.levels[scale]
        centers = np.rint(shifts / factor).astype(np.int64)
        scores = np.empty((len(centers), 2 * reach + 1, 2 * reach + 1))
        kernels.correlate_strips(
            self._search.images[scale],
            self._search.mean_level,
            level.pattern,
            level.sums,
            level.squares,
            centers,
            self._line,
            scores,
        )
        steps, information, self.score = _locate_peaks(scores)
        pixels = level.pattern.size / len(centers)
        information = information * (pixels / factor**2)
        return _smooth_path(factor * (centers + steps), information)


def interpolate_line_shifts(rows: Array, shifts: Array, out: Array) -> None:
    """Fill out (lines, 2) with the frame's shift at every line of the template.

    rows: (n,) lines of the frame at which `shifts` (n, 2) were found; between them the
    shift is linear. Line t of the template lies at line t + y of the frame.
    """
    lines = np.arange(len(out))
    template_lines = lines - np.interp(lines, rows, shifts[:, 0])
    source = np.interp(lines, template_lines, lines)
    out[:, 0] = source - lines
    out[:, 1] = np.interp(source, rows, shifts[:, 1])


def _locate_peaks(scores: Array) -> tuple[Array, Array, float]:
    """Return where each strip's (k, k) scores peak, relative to their middle.

    Returns (n, 2) steps; their information per pixel of a strip, 1 / px²; and the mean
    score there. The curvature is that of all strips, in proportion to their scores: a
    strip's own curvature is mostly noise, and largest where noise made the peak.
    """
    strips, reach = np.arange(len(scores)), scores.shape[1] // 2
    best = scores.reshape(len(scores), -1).argmax(1)
    row, col = np.clip(np.divmod(best, 2 * reach + 1), 1, 2 * reach - 1)
    middle = scores[strips, row, col]
    before = np.stack([scores[strips, row - 1, col], scores[strips, row, col - 1]], 1)
    after = np.stack([scores[strips, row + 1, col], scores[strips, row, col + 1]], 1)
    total = max(float(middle.sum()), _MIN_SCORE)
    curvature = (2 * middle[:, None] - before - after).sum(0) / total
    curvature = np.maximum(curvature, _MIN_SCORE)
    bounded = np.clip(middle, _MIN_SCORE, _MAX_SCORE)[:, None]
    fraction = np.clip((after - before) / (2 * curvature * bounded), -1.5, 1.5)
    steps = np.stack([row, col], 1) - reach + fraction
    # The log-likelihood of a shift with correlation r, in n pixels of noise, is
    # -n / 2 log(1 - r²); its curvature is the information.
    information = curvature * bounded**2 / (1 - bounded**2)
    return steps, information, float(middle.mean())


def _smooth_path(shifts: Array, information: Array) -> Array:
    """Return the most likely random walk through (n, 2) measured shifts."""
    path = np.empty_like(shifts)
    stiffness = 1 / _WALK_VARIANCE_PX2
    bands = np.empty((2, len(shifts)))
    for axis in (0, 1):
        weights = information[:, axis]
        if weights.sum() < _MIN_INFORMATION:  # no strip correlates with the template
            weights = weights + _MIN_INFORMATION
        bands[0], bands[1] = -stiffness, weights + 2 * stiffness
        bands[1, 0] -= stiffness
        bands[1, -1] -= stiffness
        path[:, axis] = solveh_banded(bands, weights * shifts[:, axis])
    return path
