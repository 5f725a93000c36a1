"""Rigid registration: find the one shift at which a whole frame fits the template.

On the coarsest level of the image pyramid every shift in range is tried. On each finer
level only the climb to the nearest peak is followed, and a parabola through that peak
gives the shift to a fraction of a pixel. Only the template is band-passed, once: to
correlate a frame with a band-passed template is to correlate band-passed images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import ceil, copysign, hypot, inf, sqrt

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels
from rtrecon.imaging.registration.template_pyramid import (
    PyramidLevel,
    compute_inverse_norms,
)

# From the peak of the next coarser level one step is common; a longer climb is lost.
_MAX_CLIMB_STEPS = 6
# From the middle of `kernels.correlate_neighbors` to each of its five entries.
_STEPS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
# A frame is clipped to this range of the template before the search: one neuron that
# flashes would otherwise dominate the image, and match whatever is bright.
_CLIP_PERCENT = (1, 99)
# The pattern correlates with its own negative at a small shift. The negative counts as
# the better fit where it exceeds the positive peak by this factor.
_INVERTED_RATIO = 1.5
# A frame is dim where its noise alone leaves less than this confidence.
BRIGHT_CONFIDENCE = 0.3
# In fields of up to this many pixels, further peaks of the coarsest level are tried: at
# most so many, and those of at least this share of the highest correlation.
_SMALL_FIELD_PX, _N_CANDIDATES, _MIN_CANDIDATE_SHARE = 2**14, 12, 0.5
_SAME_PEAK_PX = 2.0  # climbs that end this close have found the same peak
# Correlation on the coarsest level of a frame that fits; other fields stay far below.
_MIN_FITTING_CORRELATION = 0.3


@dataclass(frozen=True)
class CorrelationPeak:
    """The best shift (y, x) of a frame in px, and how the search ended.

    score: correlation with the pattern there. is_found: False where the search ended on
    the border of its range, or without reaching a peak. is_out_of_range: the frame fits
    at that border, so it has moved further than the range. is_constant: the image has
    no contrast. is_inverted: the template's negative fits better. lead: by how many
    standard deviations of noise the score exceeds that of the best other peak, if
    others were tried.
    """

    y: float
    x: float
    score: float
    is_found: bool
    is_out_of_range: bool = False
    is_constant: bool = False
    is_inverted: bool = False
    lead: float = inf

    def count_overlap(self, shape: tuple[int, ...]) -> float:
        """Return how many pixels of (lines, pixels) the frame and the template share.

        The fewer they are, the higher is the correlation that noise reaches by chance.
        """
        return max(1.0, (shape[0] - abs(self.y)) * (shape[1] - abs(self.x)))

    def is_same(self, other: CorrelationPeak) -> bool:
        """Return whether both lie within two pixels."""
        return hypot(self.y - other.y, self.x - other.x) <= _SAME_PEAK_PX


class RigidSearch:
    """Finds the shift of frames relative to one template, given as its pyramid.

    The search covers `max_shift_px`, but at most a quarter of the field.
    template_score: the correlation that the template itself reaches. clip_range:
    (lowest, highest) value of nearly all pixels of the coarsest template, relative to
    its mean. After `find_peak`, `images` holds the frame at every scale, finest first,
    and `mean_level` approximates its mean.
    """

    def __init__(self, levels: list[PyramidLevel], max_shift_px: float) -> None:
        self.levels = levels
        self.images: list[Array] = []
        self.mean_level = 0.0
        coarsest = levels[-1]
        reach = ceil(max_shift_px / 2 ** (len(levels) - 1)) + 1
        ry, rx = (min(reach, side // 4) for side in coarsest.pattern.shape)
        self._inverse_norms = compute_inverse_norms(coarsest, ry, rx)
        self._correlations = np.empty_like(self._inverse_norms)
        self._centered = np.zeros_like(coarsest.pattern)
        deviation = coarsest.template - coarsest.template.mean()
        lowest, highest = np.percentile(deviation, _CLIP_PERCENT).tolist()
        self.clip_range: tuple[float, float] = lowest, highest
        self._scores = np.empty(5)
        self._is_small = levels[0].template.size <= _SMALL_FIELD_PX
        self.template_score = self._score_template()

    def find_peak(self, image: Array) -> CorrelationPeak:
        """Find the shift of an image of (lines, pixels), int16, uint16 or float32."""
        self.images = [image, *(level.image for level in self.levels[1:])]
        for finer, coarser in pairwise(self.images):
            kernels.halve_image(finer, coarser)
        coarse = self._search_coarsest()
        peak = self._follow_peak(coarse)
        if self._is_small and not coarse.is_constant:
            peak = self._follow_best_candidate(peak)
        return replace(
            peak,
            is_out_of_range=coarse.is_out_of_range,
            is_constant=coarse.is_constant,
            is_inverted=coarse.is_inverted,
        )

    def _follow_peak(self, peak: CorrelationPeak) -> CorrelationPeak:
        """Follow a peak of the coarsest level to the finest."""
        for image, level in zip(self.images[::-1], self.levels[::-1], strict=True):
            if not peak.is_found:
                break
            factor = 1 if level is self.levels[-1] else 2
            start = round(factor * peak.y), round(factor * peak.x)
            peak = self._climb_to_peak(image, level, start)
        return peak

    def expect_confidence(self, image: Array) -> float:
        """Return the confidence of the template with as much noise as this image has.

        Noise differs from pixel to pixel; other structure is not counted as noise.
        """
        signal_variance, detail_variance = self._template_variances
        noise = _estimate_detail_variance(image) - detail_variance
        return 1 / sqrt(1 + max(0.0, noise) / signal_variance)

    def estimate_signal_fraction(self, image: Array) -> float:
        """Return how strongly the image correlates with itself without its noise.

        In contrast to `expect_confidence`, the signal may be weaker than that of the
        template, as with less laser power.
        """
        variance, detail = self._template_variances
        total = max(float(image.var()), 1e-9)
        # Noise is all detail; of the signal, as large a share as of the template.
        signal = 1 - _estimate_detail_variance(image) / total
        return sqrt(min(1.0, max(0.0, signal / max(1 - detail / variance, 1e-9))))

    @cached_property
    def _template_variances(self) -> tuple[float, float]:
        """Variance of the template, and of its details; seldom needed."""
        template = self.levels[0].template
        return float(template.var()), _estimate_detail_variance(template)

    def _follow_best_candidate(self, first: CorrelationPeak) -> CorrelationPeak:
        """Follow further peaks of the coarsest level; return the best of all.

        In a small field the inner part, which is seen at every shift, is a fraction of
        the frame. Noise may exceed the peak there, and one very active neuron may fit
        another one of the template. The whole frame decides.
        """
        correlations = self._correlations
        margins = correlations.shape[0] // 2, correlations.shape[1] // 2
        candidates = [first]
        for row, col in _find_highest_peaks(correlations):
            start = CorrelationPeak(row - margins[0], col - margins[1], 0.0, True)
            candidates.append(self._follow_peak(start))
        found = [candidate for candidate in candidates if candidate.is_found]
        shape = self.levels[0].template.shape

        def significance(candidate: CorrelationPeak) -> float:
            return candidate.score * sqrt(candidate.count_overlap(shape))

        best = max(found, key=significance, default=first)
        others = [significance(other) for other in found if not best.is_same(other)]
        return replace(best, lead=significance(best) - max(others, default=-inf))

    def _score_template(self) -> float:
        level = self.levels[0]
        mean = float(level.template.mean())
        pattern = level.pattern, level.sums, level.squares
        kernels.correlate_neighbors(level.template, mean, *pattern, 0, 0, self._scores)
        return float(self._scores[0])

    def _search_coarsest(self) -> CorrelationPeak:
        """Find the best whole-pixel shift on the coarsest level."""
        correlations, pattern = self._correlations, self.levels[-1].pattern
        margins = correlations.shape[0] // 2, correlations.shape[1] // 2
        self.mean_level, norm = kernels.center_image(
            self.images[-1], *self.clip_range, margins, self._centered
        )
        kernels.correlate_all_shifts(
            self._centered, pattern, self._inverse_norms, correlations
        )
        row, col = divmod(int(correlations.argmax()), correlations.shape[1])
        lines, pixels = correlations.shape
        is_inside = 0 < row < lines - 1 and 0 < col < pixels - 1
        best = float(correlations[row, col])
        return CorrelationPeak(
            row - margins[0],
            col - margins[1],
            score=0.0,
            is_found=is_inside and norm > 0,
            is_out_of_range=not is_inside
            and best > _MIN_FITTING_CORRELATION * norm > 0,
            is_constant=norm == 0,
            is_inverted=-float(correlations.min()) > _INVERTED_RATIO * best,
        )

    def _climb_to_peak(
        self, image: Array, level: PyramidLevel, start: tuple[int, int]
    ) -> CorrelationPeak:
        """Step to the best neighbour until there is none; then refine the peak."""
        (y, x), previous = start, None
        scores, pattern = self._scores, (level.pattern, level.sums, level.squares)
        for _ in range(_MAX_CLIMB_STEPS):
            kernels.correlate_neighbors(image, self.mean_level, *pattern, y, x, scores)
            dy, dx = _STEPS[int(scores.argmax())]
            # Each shift has its own window; two neighbours may each prefer the other.
            if (dy, dx) == (0, 0) or (y + dy, x + dx) == previous:
                return _refine_peak(y, x, scores.tolist())
            previous = (y, x)
            y, x = y + dy, x + dx
        return CorrelationPeak(y, x, float(scores[0]), is_found=False)


def _estimate_detail_variance(image: Array) -> float:
    """Return half the mean square difference of neighbouring pixels of a line."""
    return float(np.mean(np.diff(image.astype(np.float32), axis=1) ** 2)) / 2


def _find_highest_peaks(correlations: Array) -> list[tuple[int, int]]:
    """Return (row, col) of the local maxima inside that are worth a try, best first."""
    inner = correlations[1:-1, 1:-1]
    is_peak = inner >= _MIN_CANDIDATE_SHARE * max(0.0, float(inner.max()))
    is_peak &= (inner >= correlations[:-2, 1:-1]) & (inner >= correlations[2:, 1:-1])
    is_peak &= (inner >= correlations[1:-1, :-2]) & (inner >= correlations[1:-1, 2:])
    rows, cols = np.nonzero(is_peak)
    highest = np.argsort(-inner[rows, cols], kind="stable")[:_N_CANDIDATES]
    return [(int(rows[k]) + 1, int(cols[k]) + 1) for k in highest]


def _refine_peak(y: int, x: int, scores: list[float]) -> CorrelationPeak:
    """Fit parabolas through the peak and its neighbours, along y and along x."""
    middle, up, down, left, right = scores
    dy, rise_y = fit_parabola_peak(up, middle, down)
    dx, rise_x = fit_parabola_peak(left, middle, right)
    return CorrelationPeak(y + dy, x + dx, middle + rise_y + rise_x, is_found=True)


def fit_parabola_peak(
    before: float, middle: float, after: float
) -> tuple[float, float]:
    """Return where the parabola through -1, 0, 1 peaks, and its rise over the middle.

    The position lies within -1..1, however flat the parabola is; 0 where the three
    values have no maximum.
    """
    bend = before - 2 * middle + after
    if not bend < 0:
        return 0.0, 0.0
    position = 0.5 * (before - after) / bend
    if abs(position) > 1:
        return copysign(1.0, position), max(before, after) - middle
    return position, -0.25 * (before - after) * position
