"""Frame quality control: which frames are rejected, and for which reason."""

from __future__ import annotations

from enum import StrEnum
from math import sqrt

import numpy as np

from rtrecon.config import RegistrationSettings
from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels
from rtrecon.imaging.registration.rigid import (
    BRIGHT_CONFIDENCE,
    CorrelationPeak,
    RigidSearch,
)

# In standard deviations of the correlation with noise; a few hundred shifts are tried.
_CHANCE_SD = 5.0
# The same for frames of a dim field below `min_confidence`. At this limit the shift is
# known to about 0.6 px (rms).
_DIM_CHANCE_SD = 6.0
# By so much a peak must exceed all others that were tried; in simulation, 1 % of the
# right peaks of dim frames do not.
_MIN_LEAD_SD = 2.0
# Fields of other neurons correlate by chance, the more the smaller the field is: in
# simulation, 2 to 5 % of the frames of other fields of 60 x 80 to 128 x 128 px exceed
# 40 / sqrt(pixels), times the confidence that noise leaves to a frame that fits.
_STRUCTURE_CHANCE = 40.0
_MAX_STRUCTURE_CONFIDENCE = 0.55  # very small fields: right frames may reach no more
# Share of lines that may be constant: registered recordings are filled at an edge.
_MAX_CONSTANT_FRACTION = 0.1
# The usual confidence is the mean over the newest accepted frames, of which so many
# count at most; frames are compared with it once so many were accepted.
_MAX_BASELINE_FRAMES, _MIN_BASELINE_FRAMES = 300, 30


class RejectionReason(StrEnum):
    """Why a frame is rejected, in words for the display and the recording."""

    NONE = ""
    CONSTANT = "constant image"  # all zero, saturated, filled
    MISSING_LINES = "missing lines"
    LIGHT_LEAK = "light leak"
    OUT_OF_RANGE = "shift out of range"
    INVERTED = "inverted contrast"
    UNMATCHED = "does not match the template"
    OUT_OF_PLANE = "out of plane or blurred"
    STIMULATION = "stimulation light"  # these three: a line says so, see [light]
    SHUTTER = "shutter closed"
    SCREEN = "screen light"
    FAILED = "processing failed"  # an exception, see `daemon.error_reporter`


MARKED_REASONS = frozenset(
    {RejectionReason.STIMULATION, RejectionReason.SHUTTER, RejectionReason.SCREEN}
)


class FrameQuality:
    """Judges registered frames; remembers how well frames usually match the template.

    search: the search that finds the frames on their template.
    """

    def __init__(self, search: RigidSearch, settings: RegistrationSettings) -> None:
        self._settings = settings
        self._mean_confidence = 0.0
        self._n_accepted = 0
        self.replace_template(search)

    def replace_template(self, search: RigidSearch) -> None:
        """Judge frames by the template of this search from now on."""
        template = search.levels[0].template
        self._search = search
        self._max_constant_lines = template.shape[0] * _MAX_CONSTANT_FRACTION
        self._max_constant_lines += kernels.count_constant_lines(template)
        self._template_line_means = search.levels[-1].template.mean(1)

    def find_rejection_reason(
        self, frame: Array, peak: CorrelationPeak, confidence: float
    ) -> RejectionReason:
        """Return why the frame that the search has just found must be rejected.

        NONE where it is accepted.
        """
        if peak.is_constant:
            return RejectionReason.CONSTANT
        if kernels.count_constant_lines(frame) > self._max_constant_lines:
            return RejectionReason.MISSING_LINES
        if self._has_light_leak(peak):
            return RejectionReason.LIGHT_LEAK
        if peak.is_found and self._is_confident(frame, peak, confidence):
            return self._check_match(peak, confidence)
        if peak.is_out_of_range:
            return RejectionReason.OUT_OF_RANGE
        is_inverted = peak.is_inverted
        return RejectionReason.INVERTED if is_inverted else RejectionReason.UNMATCHED

    def update_baseline(self, confidence: float) -> None:
        """Include an accepted frame in the usual confidence."""
        self._n_accepted = min(self._n_accepted + 1, _MAX_BASELINE_FRAMES)
        self._mean_confidence += (confidence - self._mean_confidence) / self._n_accepted

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        baseline = np.array([self._mean_confidence, self._n_accepted])
        return {"confidence_baseline": baseline}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state."""
        mean_confidence, n_accepted = state["confidence_baseline"].tolist()
        self._mean_confidence, self._n_accepted = mean_confidence, int(n_accepted)

    def _is_confident(
        self, frame: Array, peak: CorrelationPeak, confidence: float
    ) -> bool:
        """Return whether the match is neither chance nor that of another field."""
        if peak.lead < _MIN_LEAD_SD:
            return False
        min_confidence = self._settings.min_confidence
        n_pixels = peak.count_overlap(frame.shape)
        noise_sd = 1 / (sqrt(n_pixels) * self._search.template_score)
        chance = min(_STRUCTURE_CHANCE / sqrt(n_pixels), _MAX_STRUCTURE_CONFIDENCE)
        is_clear = confidence >= max(min_confidence, chance)
        if is_clear:
            return confidence >= _CHANCE_SD * noise_sd
        if confidence < chance * self._search.estimate_signal_fraction(frame):
            return False
        if confidence >= min_confidence:
            return confidence >= _CHANCE_SD * noise_sd
        dimness = min(1.0, self._search.expect_confidence(frame) / BRIGHT_CONFIDENCE)
        return confidence >= max(min_confidence * dimness, _DIM_CHANCE_SD * noise_sd)

    def _check_match(self, peak: CorrelationPeak, confidence: float) -> RejectionReason:
        if max(abs(peak.y), abs(peak.x)) > self._settings.max_shift_px:
            return RejectionReason.OUT_OF_RANGE
        expected = self._settings.min_relative_confidence * self._mean_confidence
        if self._n_accepted >= _MIN_BASELINE_FRAMES and confidence < expected:
            return RejectionReason.OUT_OF_PLANE
        return RejectionReason.NONE

    def _has_light_leak(self, peak: CorrelationPeak) -> bool:
        """Return whether some lines are brighter than the template and its gain allow.

        The limit is nearly the full contrast of the template. More laser power
        brightens neurons as well; light from elsewhere does not.
        """
        image, level = self._search.images[-1], self._search.levels[-1]
        lowest, highest = self._search.clip_range
        y, x = self._coarsest_shift(peak)
        lines = len(image)
        image_lines = slice(max(0, y), lines - max(0, -y))
        template_lines = slice(max(0, -y), lines - max(0, y))
        line_means = image.mean(1)[image_lines]
        expected = self._template_line_means[template_lines]
        if (line_means - expected).max() <= highest - lowest:
            return False
        gain = _estimate_gain(image, level.template, level.pattern, (y, x))
        excess = line_means - max(1.0, gain) * expected
        return bool(excess.max() > highest - lowest)

    def _coarsest_shift(self, peak: CorrelationPeak) -> tuple[int, int]:
        """Return the peak's shift in whole pixels of the coarsest level."""
        if not peak.is_found:
            return 0, 0
        scale = 2 ** (len(self._search.levels) - 1)
        return round(peak.y / scale), round(peak.x / scale)


def _estimate_gain(
    image: Array, template: Array, pattern: Array, shift: tuple[int, int]
) -> float:
    """Return by which factor neurons are brighter than in the shifted template."""
    (lines, pixels), (y, x) = image.shape, shift
    moved = np.s_[max(0, y) : lines - max(0, -y), max(0, x) : pixels - max(0, -x)]
    still = np.s_[max(0, -y) : lines - max(0, y), max(0, -x) : pixels - max(0, x)]
    centered = pattern[still] - pattern[still].mean()
    return float(np.vdot(image[moved], centered) / np.vdot(template[still], centered))
