"""Where one frame lies on the template, as a whole.

On the coarsest of several halved images, every shift in range is tried; on each finer
one, only the climb to the nearest peak; on the full image, a parabola through the peak.
Only the template is filtered, once: to correlate with a band-passed template is to
correlate band-passed images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels as kernels
from rtrecon.imaging.registration.template_pyramid import Level, inverse_norms

# From a peak one level up, one step is common; a climb this long has lost its way.
_MOST_STEPS = 6
# From the middle of `kernels.cross_scores` to each of its entries.
_STEPS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
# Beyond these, a frame is clipped before the search: one neuron that flashes would
# otherwise outshine all others, and match whatever is bright.
_USUAL_PERCENT = (1, 99)
# The pattern itself correlates with its own negative, a little aside.
_INVERTED = 1.5
# Correlation on the coarsest image; strangers stay far below it.
_FITTING = 0.3


@dataclass(frozen=True)
class Peak:
    """The best shift (y, x) in px, and how it was come by.

    score: correlation with the pattern there. found: False where the search ended on
    the border of its range (`far` if it fitted there), or lost its way. empty: nothing
    to compare, the image is constant. inverted: the template's negative fits better.
    """

    y: float
    x: float
    score: float
    found: bool
    far: bool = False
    empty: bool = False
    inverted: bool = False


class RigidSearch:
    """Finds frames on one template, given as its scales (`pyramid.levels`).

    The search covers `max_shift_px`, but at most a quarter of the field. own_score:
    what the template itself reaches. usual: (lowest, highest) of nearly all pixels of
    the coarsest template, from its mean. After `find`: `images`, the frame at every
    scale, finest first, and `pivot`, about its mean.
    """

    def __init__(self, scales: list[Level], max_shift_px: float) -> None:
        self.levels = scales
        self.images: list[Array] = []
        self.pivot = 0.0
        coarsest = scales[-1]
        reach = ceil(max_shift_px / 2 ** (len(scales) - 1)) + 1
        ry, rx = (min(reach, side // 4) for side in coarsest.pattern.shape)
        self._norms = inverse_norms(coarsest, ry, rx)
        self._found = np.empty_like(self._norms)
        self._centred = np.zeros_like(coarsest.pattern)
        around = coarsest.template - coarsest.template.mean()
        lowest, highest = np.percentile(around, _USUAL_PERCENT).tolist()
        self.usual: tuple[float, float] = lowest, highest
        self._scores = np.empty(5)
        self.own_score = self._own_score()

    def find(self, image: Array) -> Peak:
        """Find an image of (lines, pixels), int16, uint16 or float32."""
        self.images = [image, *(level.image for level in self.levels[1:])]
        for finer, coarser in pairwise(self.images):
            kernels.halve(finer, coarser)
        coarse = peak = self._search()
        for image, level in zip(self.images[::-1], self.levels[::-1], strict=True):
            if not peak.found:
                break
            doubling = 1 if level is self.levels[-1] else 2
            start = round(doubling * peak.y), round(doubling * peak.x)
            peak = self._climb(image, level, start)
        return replace(
            peak, far=coarse.far, empty=coarse.empty, inverted=coarse.inverted
        )

    def _own_score(self) -> float:
        finest = self.levels[0]
        pivot = float(finest.template.mean())
        parts = finest.pattern, finest.sums, finest.squares
        kernels.cross_scores(finest.template, pivot, *parts, 0, 0, self._scores)
        return float(self._scores[0])

    def _search(self) -> Peak:
        """Best whole shift on the coarsest level."""
        found, pattern = self._found, self.levels[-1].pattern
        margins = found.shape[0] // 2, found.shape[1] // 2
        self.pivot, norm = kernels.centre(
            self.images[-1], *self.usual, margins, self._centred
        )
        kernels.search(self._centred, pattern, self._norms, found)
        row, col = divmod(int(found.argmax()), found.shape[1])
        inside = 0 < row < found.shape[0] - 1 and 0 < col < found.shape[1] - 1
        best = float(found[row, col])
        return Peak(
            row - margins[0],
            col - margins[1],
            score=0.0,
            found=inside and norm > 0,
            far=not inside and best > _FITTING * norm > 0,
            empty=norm == 0,
            inverted=-float(found.min()) > _INVERTED * best,
        )

    def _climb(self, image: Array, level: Level, start: tuple[int, int]) -> Peak:
        (y, x), left = start, None
        scores, parts = self._scores, (level.pattern, level.sums, level.squares)
        for _ in range(_MOST_STEPS):
            kernels.cross_scores(image, self.pivot, *parts, y, x, scores)
            dy, dx = _STEPS[int(scores.argmax())]
            # Each place has its own window; two neighbours may each prefer the other.
            if (dy, dx) == (0, 0) or (y + dy, x + dx) == left:
                return _refined(y, x, scores.tolist())
            left = (y, x)
            y, x = y + dy, x + dx
        return Peak(y, x, float(scores[0]), found=False)


def _refined(y: int, x: int, scores: list[float]) -> Peak:
    """Parabolas through the peak and its neighbours, along y and along x."""
    centre, up, down, left, right = scores
    dy, rise_y = vertex(up, centre, down)
    dx, rise_x = vertex(left, centre, right)
    return Peak(y + dy, x + dx, centre + rise_y + rise_x, found=True)


def vertex(before: float, centre: float, after: float) -> tuple[float, float]:
    """Where a parabola through -1, 0, 1 peaks, and how far above the middle."""
    bend = before - 2 * centre + after
    if bend >= 0:
        return 0.0, 0.0
    at = 0.5 * (before - after) / bend
    return at, -0.25 * (before - after) * at
