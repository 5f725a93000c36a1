"""The template follows slow change: bleaching, a wandering focus, tissue that swells.

Only its look may change, never its place, on which the masks lie: each new template is
found on the one of the start and moved back by what it went. How far it has gone is
kept and told; one whose place cannot be measured any more is not followed.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import ceil

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels as kernels
from rtrecon.imaging.registration.registrar import Shift
from rtrecon.imaging.registration.rigid import RigidSearch
from rtrecon.imaging.registration.template_pyramid import Level, levels, levels_by_steps

# Of the time constant, between one template and the next: small steps.
_RENEWED = 0.1
# Searched, each way: registration itself is off by a fraction of this.
_REACH_PX = 4.0
# Correlation with the start under which a place is no longer measured well.
_LEAST_LOOK = 0.3
_TOLD_STEP = 0.05
_FOLLOWED = (
    "follows a tissue that changes: it correlates {:.2f} with that of the start, where "
    "its place is still measured; look at whether the neurons still lie under their "
    "masks"
)
_HELD = (
    "no longer follows the tissue, which correlates {:.2f} with that of the start: too "
    "little to measure its place by; refocus, or take a new reference"
)


@dataclass(frozen=True)
class Drift:
    """How far the newest template has gone from that of the start.

    look: correlation of the two, band-passed; 1 at the start. y_px, x_px: by how much
    it had moved, which was taken out. held: it looks too different to be followed.
    """

    look: float = 1.0
    y_px: float = 0.0
    x_px: float = 0.0
    held: bool = False


class DriftingTemplate:
    """The running mean of registered images, given out as new templates.

    template: (lines, pixels) float32, of the start. drift_s: time constant of the mean,
    in s of trusted frames at rate_hz. scales: the newest template's, for
    `Registrar.follow`. drift: where it has gone. notices: sentences to be told; whoever
    tells them clears them.
    """

    def __init__(self, template: Array, rate_hz: float, drift_s: float) -> None:
        self.drift = Drift()
        self.notices: list[str] = []
        self.scales = levels(np.array(template, np.float32))
        self._start = RigidSearch(self.scales, _REACH_PX)
        self._mean = self.scales[0].template.copy()
        self._share = 1 / max(1.0, rate_hz * drift_s)
        self._period = ceil(_RENEWED / self._share)
        self._seen = 0
        self._told = 1.0
        self._making: Generator[None, None, bool] | None = None

    def take(self, image: Array, shift: Shift) -> bool:
        """Take a trusted image, moved back by its shift; say if `scales` are new.

        image: (lines, pixels) float32. Work on a new template is spread over frames.
        """
        self._blend(image, shift)
        if self._making is None:
            if self._seen < self._period:
                return False
            self._making, self._seen = self._renewed(), 0
        try:
            next(self._making)
        except StopIteration as done:
            self._making = None
            return bool(done.value)
        return False

    def state(self) -> dict[str, Array]:
        """Return what is remembered between frames; a half-made template is not."""
        drift = self.drift
        return {
            "mean": self._mean.copy(),
            "template": self.scales[0].template.copy(),
            "drift": np.array([drift.look, drift.y_px, drift.x_px, drift.held]),
            "told": np.array([self._told, self._seen]),
        }

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state of the same template; `scales` are then to be followed."""
        self._mean[:] = state["mean"]
        self.scales = levels(np.array(state["template"], np.float32))
        look, y_px, x_px, held = state["drift"].tolist()
        self.drift = Drift(look, y_px, x_px, bool(held))
        told, seen = state["told"].tolist()
        self._told, self._seen, self._making = told, int(seen), None

    def _blend(self, image: Array, shift: Shift) -> None:
        """Move the mean towards the image, where that came from inside the frame."""
        top, bottom, left, right = _filled(shift)
        own = slice(top, len(self._mean) - bottom)
        sides = np.s_[own, :left], np.s_[own, image.shape[1] - right :]
        # All of each line is blended, for a kernel takes whole lines.
        kept = [self._mean[side].copy() for side in sides]
        kernels.blend(self._mean[own], image[own], self._share)
        for side, pixels in zip(sides, kept, strict=True):
            self._mean[side] = pixels
        self._seen += 1

    def _renewed(self) -> Generator[None, None, bool]:
        """Make the scales of the mean as it is now, moved to where it started.

        Returns whether they are to be followed.
        """
        peak = self._start.find(self._mean)
        shifts = np.tile((peak.y, peak.x), (len(self._mean), 1))
        line, moved_back = np.empty_like(self._mean[0]), np.empty_like(self._mean)
        kernels.undo_shifts(self._mean, shifts, line, moved_back)
        yield
        scales = yield from levels_by_steps(moved_back)
        look = _likeness(scales, self._start.levels) if peak.found else 0.0
        was_held, held = self.drift.held, look < _LEAST_LOOK
        self.drift = Drift(look, peak.y, peak.x, held)
        if held and not was_held:
            self.notices.append(f"the template {_HELD.format(look)}")
        if not held:
            self.scales = scales
            self._tell(look)
        return not held

    def _tell(self, look: float) -> None:
        if look <= self._told - _TOLD_STEP:
            self._told = look
            self.notices.append(f"the template {_FOLLOWED.format(look)}")


def _filled(shift: Shift) -> tuple[int, int, int, int]:
    """Lines and pixels at the top, bottom, left, right that no frame had seen."""
    whole = [(shift.y_px, shift.x_px)]
    yx_px = np.array(whole) if shift.rows_px is None else shift.rows_px
    before = np.ceil(np.maximum(-yx_px.min(0), 0)).astype(int).tolist()
    after = np.ceil(np.maximum(yx_px.max(0), 0)).astype(int).tolist()
    return before[0], after[0], before[1], after[1]


def _likeness(scales: list[Level], others: list[Level]) -> float:
    """Correlation of two templates: where it is halved once, for less of the noise."""
    scale = min(1, len(scales) - 1)
    own, other = scales[scale].pattern, others[scale].pattern
    norm = float(np.linalg.norm(own) * np.linalg.norm(other))
    return float(np.vdot(own, other)) / norm if norm else 0.0
