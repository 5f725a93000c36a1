"""Which frames are reached by light that is not activity, as digital lines say."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf

from rtrecon.config import LightSettings
from rtrecon.imaging.registration.frame_quality import RejectionReason

_MAX_PERIODS, _MAX_JUDGED = 256, 256  # that are remembered, of each line; frames


@dataclass
class _Line:
    """reason: of the frames that are reached. periods: (start, stop) in s, ended."""

    reason: RejectionReason
    since_s: float | None = None  # while it is high
    periods: deque[tuple[float, float]] = field(
        default_factory=lambda: deque(maxlen=_MAX_PERIODS)
    )


class MarkedLight:
    """Follows the edges of the lines; all times are on the microscope's clock.

    n_late: frames that were judged before an edge that concerns them had arrived, so
    that their activity was read.
    """

    def __init__(self, settings: LightSettings) -> None:
        self.n_late = 0
        self._margin_s = settings.margin_s
        lines = {
            settings.stimulation_line: RejectionReason.STIMULATION,
            settings.shutter_line: RejectionReason.SHUTTER,
            settings.screen_line: RejectionReason.SCREEN,
        }
        self._lines = {
            number: _Line(reason)
            for number, reason in lines.items()
            if number is not None
        }
        self._accepted: deque[tuple[float, float]] = deque(maxlen=_MAX_JUDGED)
        self._is_late_reported = False

    def add_edge(self, number: int, value: int, t_s: float) -> None:
        """Learn of an edge of any line; others than those of the settings are left."""
        line = self._lines.get(number)
        if line is None:
            return
        if value:
            if line.since_s is None:
                line.since_s = t_s
                self._count_late(t_s)
        elif line.since_s is not None:
            line.periods.append((line.since_s, max(t_s, line.since_s)))
            line.since_s = None

    def find_reason(self, start_s: float, stop_s: float) -> RejectionReason:
        """Return why a frame scanned from start to stop must be rejected, or NONE."""
        first_s, last_s = start_s - self._margin_s, stop_s + self._margin_s
        for line in self._lines.values():
            open_s = inf if line.since_s is None else line.since_s
            if open_s < last_s or any(
                start < last_s and stop > first_s for start, stop in line.periods
            ):
                return line.reason
        if self._lines:
            self._accepted.append((first_s, last_s))
        return RejectionReason.NONE

    def take_notices(self) -> list[str]:
        """Return, once in a session, that edges arrive after the frames they mark."""
        if not self.n_late or self._is_late_reported:
            return []
        self._is_late_reported = True
        return [
            "edges of a light line arrive after the frames that they concern, whose "
            "activity was read with the light: let the sender send an edge before the "
            "frame, or set light.margin_s"
        ]

    def _count_late(self, t_s: float) -> None:
        self.n_late += sum(stop_s > t_s for _, stop_s in self._accepted)
