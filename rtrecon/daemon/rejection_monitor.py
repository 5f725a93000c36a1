"""Reports when nearly all frames are rejected: the field is lost.

There is no clock here: the caller gives the time.
"""

from __future__ import annotations

from rtrecon.core.frame_intervals import format_interval, is_time_lapse
from rtrecon.imaging.registration.frame_quality import MARKED_REASONS

_LOST_ABOVE = 0.9  # share of rejected frames at which the field is lost
_FOUND_BELOW = 0.5  # share at which it is found again
_MIN_FRAMES = 10.0  # over which the share is taken at least
# Of a time-lapse, whose user wants to know before a night is lost: four bad frames.
_MIN_TIME_LAPSE_FRAMES = 2.0


class RejectionMonitor:
    """Follows the share of rejected frames, a running mean over one second.

    rate_hz: frames per second, of all planes.
    """

    def __init__(self, rate_hz: float) -> None:
        is_slow = is_time_lapse(rate_hz)
        min_frames = _MIN_TIME_LAPSE_FRAMES if is_slow else _MIN_FRAMES
        self._weight = 1 / max(min_frames, rate_hz)
        self._share = 0.0
        self._reason = ""
        self._newest_accepted_s: float | None = None
        self._lost_since_s: float | None = None
        self._notices: list[str] = []

    def add_frame(self, rejection_reason: str, now_s: float) -> None:
        """Learn of a frame; rejection_reason: "" if it was accepted."""
        if self._newest_accepted_s is None or not rejection_reason:
            self._newest_accepted_s = now_s
        self._reason = rejection_reason or self._reason
        self._share += self._weight * (bool(rejection_reason) - self._share)
        if self._lost_since_s is None and self._share > _LOST_ABOVE:
            self._lost_since_s = self._newest_accepted_s
            self._notices.append(self.describe(now_s))
        elif self._lost_since_s is not None and self._share < _FOUND_BELOW:
            lost = format_interval(now_s - self._lost_since_s)
            self._lost_since_s = None
            self._notices.append(f"frames match again, after {lost}")

    def take_notices(self) -> list[str]:
        """Return the sentences since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def describe(self, now_s: float) -> str:
        """Return a sentence while the field is lost, else ""."""
        if self._lost_since_s is None:
            return ""
        lost = format_interval(now_s - self._lost_since_s)
        is_marked = self._reason in MARKED_REASONS
        check = (
            "does its digital line fall again?"
            if is_marked
            else "is this the field of the reference image?"
        )
        return f"frames have been rejected for {lost} ({self._reason}); {check}"
