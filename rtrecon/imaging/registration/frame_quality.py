"""Which frames are not to be believed, and why."""

from __future__ import annotations

from enum import StrEnum
from math import sqrt

import numpy as np

from rtrecon.config import RegisterSettings
from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels as kernels
from rtrecon.imaging.registration.rigid import Peak, RigidSearch

# In standard deviations of the correlation with noise; a few hundred shifts are tried.
_CHANCE = 5.0
# Share of lines that may be constant: recordings moved before are filled at an edge.
_CONSTANT_LINES = 0.1
# Trusted frames over which the usual confidence is the mean, once that many were seen;
# and how many say what is usual at all.
_USUAL_FRAMES, _FEWEST_FRAMES = 300, 30


class RejectionReason(StrEnum):
    """Why a frame is not trusted, in words for the display and the record."""

    NONE = ""
    CONSTANT = "constant image"  # all zero, saturated, filled
    LINES = "lines missing"
    LIGHT = "light leak"
    FAR = "moved beyond the range"
    INVERTED = "inverted"
    STRANGER = "unlike the reference"
    PLANE = "out of plane or blurred"


class Trust:
    """Judges frames found on one template; remembers how well frames usually match."""

    def __init__(self, search: RigidSearch, settings: RegisterSettings) -> None:
        self._settings = settings
        self._usual = 0.0
        self._seen = 0
        self.follow(search)

    def follow(self, search: RigidSearch) -> None:
        """Judge by this search's template from now on."""
        template = search.levels[0].template
        self._search = search
        self._lines = template.shape[0] * _CONSTANT_LINES
        self._lines += kernels.constant_lines(template)
        self._row_means = search.levels[-1].template.mean(1)
        by_chance = _CHANCE / (sqrt(template.size) * search.own_score)
        self._least = max(self._settings.min_confidence, by_chance)

    def judge(self, frame: Array, peak: Peak, confidence: float) -> RejectionReason:
        """Return what speaks against the frame that the search has just found."""
        if peak.empty:
            return RejectionReason.CONSTANT
        if kernels.constant_lines(frame) > self._lines:
            return RejectionReason.LINES
        if self._too_bright(peak):
            return RejectionReason.LIGHT
        if peak.found and confidence >= self._least:
            return self._doubt_of_fit(peak, confidence)
        if peak.far:
            return RejectionReason.FAR
        return RejectionReason.INVERTED if peak.inverted else RejectionReason.STRANGER

    def believe(self, confidence: float) -> None:
        """Remember how well a trusted frame matched."""
        self._seen = min(self._seen + 1, _USUAL_FRAMES)
        self._usual += (confidence - self._usual) / self._seen

    def state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        return {"usual_confidence": np.array([self._usual, self._seen])}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state."""
        usual, seen = state["usual_confidence"].tolist()
        self._usual, self._seen = usual, int(seen)

    def _doubt_of_fit(self, peak: Peak, confidence: float) -> RejectionReason:
        if max(abs(peak.y), abs(peak.x)) > self._settings.max_shift_px:
            return RejectionReason.FAR
        least = self._settings.min_usual * self._usual
        if self._seen >= _FEWEST_FRAMES and confidence < least:
            return RejectionReason.PLANE
        return RejectionReason.NONE

    def _too_bright(self, peak: Peak) -> bool:
        """Whether some band of lines is brighter than the template and its gain allow.

        By more than nearly all the template's contrast. More laser power brightens
        neurons too; light from elsewhere does not.
        """
        image, level = self._search.images[-1], self._search.levels[-1]
        lowest, highest = self._search.usual
        scale = 2 ** (len(self._search.levels) - 1)
        y, x = (round(v / scale) if peak.found else 0 for v in (peak.y, peak.x))
        lines = len(self._row_means)
        own = slice(max(0, -y), lines - max(0, y))
        shown = slice(max(0, y), lines - max(0, -y))
        rows, expected = image.mean(1)[shown], self._row_means[own]
        if (rows - expected).max() <= highest - lowest:
            return False
        gain = _gain(image, level.template, level.pattern, (y, x))
        return bool((rows - max(1.0, gain) * expected).max() > highest - lowest)


def _gain(
    image: Array, template: Array, pattern: Array, shift: tuple[int, int]
) -> float:
    """By how much neurons are brighter in an image that is the template, shifted."""
    (lines, pixels), (y, x) = image.shape, shift
    own = np.s_[max(0, -y) : lines - max(0, y), max(0, -x) : pixels - max(0, x)]
    shown = np.s_[max(0, y) : lines - max(0, -y), max(0, x) : pixels - max(0, -x)]
    centred = pattern[own] - pattern[own].mean()
    return float(np.vdot(image[shown], centred) / np.vdot(template[own], centred))
