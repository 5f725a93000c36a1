"""A template that follows slow change: bleaching, a drifting focus, swelling tissue.

Only the appearance of the template may change, never its position, because the masks
lie on it: each new template is registered to the first one and moved back. The distance
from the first template is measured and reported. A template whose position can no
longer be measured is not followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels
from rtrecon.imaging.registration.registrar import FrameShift
from rtrecon.imaging.registration.rigid import CorrelationPeak, RigidSearch
from rtrecon.imaging.registration.template_pyramid import (
    PyramidBuilder,
    PyramidLevel,
    build_pyramid,
)

# A new template is made after this share of the time constant: in small steps.
_RENEWAL_FRACTION = 0.1
# Search range in each direction: registration itself is off by a fraction of this.
_REACH_PX = 4.0
# Correlation with the first template below which its position is not measured well.
_MIN_CORRELATION = 0.3
_NOTICE_STEP = 0.05  # a notice is repeated after this loss of correlation
_FOLLOWING_NOTICE = (
    "the template follows slow changes of the tissue: it correlates {:.2f} with the "
    "template at the start, and its position can still be measured; check that the "
    "neurons still lie under their masks"
)
_FROZEN_NOTICE = (
    "the template no longer follows the tissue, which correlates only {:.2f} with the "
    "template at the start: too little to measure its position; refocus, or take a new "
    "reference"
)


@dataclass(frozen=True)
class TemplateDrift:
    """How far the newest template differs from the first one.

    template_correlation: correlation of the two, band-passed; 1 at the start. y_px,
    x_px: how far it had moved, which was undone. is_frozen: it looks too different to
    be followed.
    """

    template_correlation: float = 1.0
    y_px: float = 0.0
    x_px: float = 0.0
    is_frozen: bool = False


class AdaptiveTemplate:
    """A running mean of registered images, from which new templates are made.

    template: (lines, pixels) float32, the first one. drift_s: time constant of the
    mean, in s of accepted frames at rate_hz. pyramid: that of the newest template, for
    `Registrar.replace_template`. drift: how far it differs from the first one.
    """

    def __init__(self, template: Array, rate_hz: float, drift_s: float) -> None:
        self.drift = TemplateDrift()
        self.pyramid = build_pyramid(np.array(template, np.float32))
        self._notices: list[str] = []
        self._first = RigidSearch(self.pyramid, _REACH_PX)
        self._mean = self.pyramid[0].template.copy()
        self._weight = 1 / max(1.0, rate_hz * drift_s)
        self._period = ceil(_RENEWAL_FRACTION / self._weight)
        self._n_frames = 0
        self._reported_correlation = 1.0
        self._renewal: _Renewal | None = None

    def add_frame(self, image: Array, shift: FrameShift) -> bool:
        """Include an accepted image, moved back by its shift.

        image: (lines, pixels) float32. Returns whether `pyramid` is new. The work on a
        new template is spread over several frames.
        """
        self._update_mean(image, shift)
        if self._renewal is None:
            if self._n_frames >= self._period:
                self._renewal, self._n_frames = _Renewal(self._mean, self._first), 0
            return False
        if not self._renewal.builder.is_done:
            self._renewal.builder.advance()
            return False
        renewal, self._renewal = self._renewal, None
        return self._use_template(renewal)

    def take_notices(self) -> list[str]:
        """Return the sentences for the user that are new since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between frames; without a half-made template."""
        drift = self.drift
        numbers = [drift.template_correlation, drift.y_px, drift.x_px, drift.is_frozen]
        return {
            "mean": self._mean.copy(),
            "template": self.pyramid[0].template.copy(),
            "drift": np.array(numbers),
            "progress": np.array([self._reported_correlation, self._n_frames]),
        }

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state of the same template; then `pyramid` is new."""
        self._mean[:] = state["mean"]
        self.pyramid = build_pyramid(np.array(state["template"], np.float32))
        correlation, y_px, x_px, is_frozen = state["drift"].tolist()
        self.drift = TemplateDrift(correlation, y_px, x_px, bool(is_frozen))
        reported, n_frames = state["progress"].tolist()
        self._reported_correlation, self._n_frames = reported, int(n_frames)
        self._renewal = None

    def _update_mean(self, image: Array, shift: FrameShift) -> None:
        """Move the mean towards the image, except where the image was filled."""
        top, bottom, left, right = _filled_margins(shift)
        lines = slice(top, max(0, len(self._mean) - bottom))
        sides = np.s_[lines, :left], np.s_[lines, max(0, image.shape[1] - right) :]
        # The kernel takes whole lines; the filled sides are put back afterwards.
        unchanged = [self._mean[side].copy() for side in sides]
        kernels.update_mean(self._mean[lines], image[lines], self._weight)
        for side, pixels in zip(sides, unchanged, strict=True):
            self._mean[side] = pixels
        self._n_frames += 1

    def _use_template(self, renewal: _Renewal) -> bool:
        """Take over a new template unless it looks too different from the first."""
        peak, levels = renewal.peak, renewal.builder.levels
        correlation = 0.0
        if peak.is_found:
            correlation = _correlate_templates(levels, self._first.levels)
        was_frozen, is_frozen = self.drift.is_frozen, correlation < _MIN_CORRELATION
        self.drift = TemplateDrift(correlation, peak.y, peak.x, is_frozen)
        if is_frozen and not was_frozen:
            self._notices.append(_FROZEN_NOTICE.format(correlation))
        if not is_frozen:
            self.pyramid = levels
            self._report_correlation(correlation)
        return not is_frozen

    def _report_correlation(self, correlation: float) -> None:
        if correlation <= self._reported_correlation - _NOTICE_STEP:
            self._reported_correlation = correlation
            self._notices.append(_FOLLOWING_NOTICE.format(correlation))


class _Renewal:
    """A template in the making: the mean, moved back to where the first one lies.

    peak: where it was found relative to the first one. builder: makes its pyramid.
    """

    def __init__(self, mean: Array, first: RigidSearch) -> None:
        self.peak: CorrelationPeak = first.find_peak(mean)
        shifts = np.tile((self.peak.y, self.peak.x), (len(mean), 1))
        line, moved_back = np.empty_like(mean[0]), np.empty_like(mean)
        kernels.undo_shifts(mean, shifts, line, moved_back)
        self.builder = PyramidBuilder(moved_back)


def _filled_margins(shift: FrameShift) -> tuple[int, int, int, int]:
    """Return lines and pixels at top, bottom, left, right from outside the frame."""
    strip_shifts = shift.strip_shifts_px
    whole = [(shift.y_px, shift.x_px)]
    yx_px = np.array(whole) if strip_shifts is None else strip_shifts
    before = np.ceil(np.maximum(-yx_px.min(0), 0)).astype(int).tolist()
    after = np.ceil(np.maximum(yx_px.max(0), 0)).astype(int).tolist()
    return before[0], after[0], before[1], after[1]


def _correlate_templates(
    levels: list[PyramidLevel], others: list[PyramidLevel]
) -> float:
    """Correlate two templates at half their size, where there is less noise."""
    scale = min(1, len(levels) - 1)
    pattern, other = levels[scale].pattern, others[scale].pattern
    norm = float(np.linalg.norm(pattern) * np.linalg.norm(other))
    return float(np.vdot(pattern, other)) / norm if norm else 0.0
