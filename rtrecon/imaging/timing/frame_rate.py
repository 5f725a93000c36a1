"""Frame rate: measured from the times of frames, because senders announce others.

A sender that averages frames, for example, often announces the rate before averaging.
"""

from __future__ import annotations

import numpy as np

from rtrecon.core.frame_intervals import is_time_lapse
from rtrecon.core.types import Array

# Frames of one measurement; where it fails, the next ones are measured. Of a
# time-lapse, the rate must be known within hours.
_N_FRAMES, _N_TIME_LAPSE_FRAMES = 31, 6
# The rate from all frames and the rate from the usual interval must agree this well.
_MAX_DISAGREEMENT = 0.1
# A longer interval, in usual ones, is a gap.
_MAX_INTERVALS = 1.5
# A measured rate within this share of the announced one confirms the announced one,
# which is not affected by jitter. A difference above the other share is reported.
_CONFIRMING_DIFFERENCE, _NOTABLE_DIFFERENCE = 0.03, 0.1
# Of any microscope, as on the wire; memory grows with the rate.
_MIN_RATE_HZ, _MAX_RATE_HZ = 1e-3, 1e5


class FrameRateMeter:
    """Measures the rate of one stream of frames, once, near the start of a session.

    rate_hz: the announced rate, until another one was measured.
    """

    def __init__(self, announced_hz: float) -> None:
        self.rate_hz = announced_hz
        self._announced_hz = announced_hz
        is_slow = is_time_lapse(announced_hz)
        self._n_needed = _N_TIME_LAPSE_FRAMES if is_slow else _N_FRAMES
        self._is_measured = False
        self._frames: list[tuple[int, float]] = []
        self._notices: list[str] = []

    def add_frame(self, number: int, t_s: float) -> bool:
        """Add a frame's number and time in s; return whether `rate_hz` changes."""
        if self._is_measured:
            return False
        self._frames.append((number, t_s))
        if len(self._frames) < self._n_needed:
            return False
        numbers, times_s = np.array(self._frames, float).T
        self._frames = self._frames[-1:]
        measured_hz = measure_rate(numbers, times_s)
        if measured_hz is None:
            return False
        self._is_measured = True
        return self._compare_rates(measured_hz)

    def take_notices(self) -> list[str]:
        """Return the sentences for the user since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def _compare_rates(self, measured_hz: float) -> bool:
        announced_hz = self._announced_hz
        if not _MIN_RATE_HZ <= measured_hz <= _MAX_RATE_HZ:
            self._notices.append(
                f"the times of the frames give {measured_hz:.4g} frames per second, "
                f"which no microscope has; the announced {announced_hz:g} are used. "
                "Correct the times in the sender: they are in s"
            )
            return False
        difference = abs(measured_hz / announced_hz - 1)
        if difference > _NOTABLE_DIFFERENCE:
            is_in_ms = abs(measured_hz * 1000 / announced_hz - 1) <= _NOTABLE_DIFFERENCE
            what = "times, which seem to be in ms, not in s," if is_in_ms else "rate"
            self._notices.append(
                f"the sender announced {announced_hz:g} frames per second, but the "
                f"times of its frames give {measured_hz:.4g}; the measured rate is "
                f"used. Correct the {what} in the sender"
            )
        if difference <= _CONFIRMING_DIFFERENCE:
            return False
        self.rate_hz = measured_hz
        return True


def measure_rate(numbers: Array, times_s: Array) -> float | None:
    """Return the rate of frames with these numbers and times; None if it is unclear.

    Lost frames are counted by their numbers. A pause between frames, or frames whose
    times come in bursts, give no rate.
    """
    intervals_s, steps = np.diff(times_s), np.diff(numbers)
    usual_s, usual_step = np.median(intervals_s), np.median(steps)
    if not (usual_s > 0 and usual_step > 0):
        return None
    without_gaps = intervals_s[intervals_s <= _MAX_INTERVALS * usual_s]
    rate_hz = 1 / without_gaps.mean()
    n_frames = (numbers[-1] - numbers[0]) / usual_step
    overall_hz = n_frames / (times_s[-1] - times_s[0])
    if abs(rate_hz / overall_hz - 1) > _MAX_DISAGREEMENT:
        return None
    return float(overall_hz)
