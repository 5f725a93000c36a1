"""Motion by rows: a frame is scanned line by line, and the brain moves meanwhile.

Each strip of lines is correlated with the template around the frame's own shift, on a
coarse image first. What its correlation says of its shift, and how sharply, is joined
with its neighbours' under a random walk from strip to strip: a strip with little to see
takes what they say.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels as kernels
from rtrecon.imaging.registration.rigid import Peak, RigidSearch

STRIP_LINES = 16
# 0.3 px s.d. from strip to strip: 1.8 px over 512 lines. Of 0.05 to 0.5, the value with
# the least error on paths of 2 px s.d. that turn within 40 to 130 lines.
_WALK_PX2 = 0.1
# The coarsest image is a quarter as large; there, strips lie up to 2 px (8 px of the
# frame) off the frame's shift, and on finer ones no more than 1 px off the coarser's.
_COARSEST, _FAR, _NEAR = 2, 2, 1
_LEAST_SCORE = 1e-6


class StripSearch:
    """Finds the shift of every strip of a frame that a rigid search has found.

    rows: (n,) float, the middle line of each strip. score: how well the strips of the
    last frame matched where they were found, their mean correlation.
    """

    def __init__(self, search: RigidSearch) -> None:
        lines, pixels = search.levels[0].pattern.shape
        count = max(2, lines // STRIP_LINES)
        edges = np.append(np.arange(count) * (lines // count), lines)
        self.rows = (edges[:-1] + edges[1:] - 1) / 2
        self.score = 0.0
        self._search = search
        self._line = np.empty(pixels, np.float32)

    def find(self, peak: Peak) -> Array:
        """Return (n, 2) shifts (y, x) in px, given the whole frame's, just found."""
        shifts = np.tile((peak.y, peak.x), (len(self.rows), 1))
        coarsest = min(_COARSEST, len(self._search.levels) - 1)
        for scale in range(coarsest, -1, -1):
            reach = _FAR if scale == coarsest else _NEAR
            shifts = self._improved(shifts, scale, reach)
        return shifts

    def _improved(self, shifts: Array, scale: int, reach: int) -> Array:
        factor, level = 2**scale, self._search.levels[scale]
        places = np.rint(shifts / factor).astype(np.int64)
        scores = np.empty((len(places), 2 * reach + 1, 2 * reach + 1))
        kernels.strip_scores(
            self._search.images[scale],
            self._search.pivot,
            level.pattern,
            level.sums,
            level.squares,
            places,
            self._line,
            scores,
        )
        steps, information, self.score = _summits(scores)
        pixels = level.pattern.size / len(places)
        return _walk(factor * (places + steps), information * (pixels / factor**2))


def _summits(scores: Array) -> tuple[Array, Array, float]:
    """Where each strip's (k, k) scores peak from their middle, and how sharply.

    Returns (n, 2) steps; their information per pixel of a strip, 1 / px²; and the mean
    score there. The bend is that of all strips, in proportion to their scores: a
    strip's own is mostly noise, and largest where noise made the peak.
    """
    strips, reach = np.arange(len(scores)), scores.shape[1] // 2
    best = scores.reshape(len(scores), -1).argmax(1)
    row, col = np.clip(np.divmod(best, 2 * reach + 1), 1, 2 * reach - 1)
    at = scores[strips, row, col]
    before = np.stack([scores[strips, row - 1, col], scores[strips, row, col - 1]], 1)
    after = np.stack([scores[strips, row + 1, col], scores[strips, row, col + 1]], 1)
    total = max(float(at.sum()), _LEAST_SCORE)
    bend = np.maximum((2 * at[:, None] - before - after).sum(0) / total, _LEAST_SCORE)
    sure = np.clip(at, _LEAST_SCORE, 0.99)[:, None]
    beside = np.clip((after - before) / (2 * bend * sure), -1.5, 1.5)
    steps = np.stack([row, col], 1) - reach + beside
    # The log-likelihood of a shift with correlation r, in n pixels of noise, is
    # -n / 2 log(1 - r²); its bend is the information.
    return steps, bend * sure**2 / (1 - sure**2), float(at.mean())


def _walk(shifts: Array, information: Array) -> Array:
    """Most likely path through (n, 2) measured shifts, if it is a random walk."""
    path = np.empty_like(shifts)
    tie = 1 / _WALK_PX2
    bands = np.empty((2, len(shifts)))
    for axis in (0, 1):
        known = information[:, axis]
        bands[0], bands[1] = -tie, known + 2 * tie
        bands[1, 0] -= tie
        bands[1, -1] -= tie
        path[:, axis] = solveh_banded(bands, known * shifts[:, axis])
    return path


def line_shifts(rows: Array, shifts: Array, out: Array) -> None:
    """Fill out (lines, 2) with the frame's shifts, by line of the template.

    rows: (n,) lines of the frame at which `shifts` (n, 2) were found; between them they
    change evenly. Line t of the template is where line t + y of the frame belongs.
    """
    lines = np.arange(len(out))
    shown = lines - np.interp(lines, rows, shifts[:, 0])  # line of the template
    source = np.interp(lines, shown, lines)
    out[:, 0] = source - lines
    out[:, 1] = np.interp(source, rows, shifts[:, 1])
