"""The encoder's time base: integrates activity of microscope frames to encoder frames.

Encoder frame k lies at t0 + k / rate_hz, where t0 is the time of the session's first
frame on the microscope's clock. It covers the time since encoder frame k - 1, as the
activity of a microscope frame is what happened since the frame before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.timing.frame_integration import FrameIntegral
from rtrecon.protocol.behavior import NO_BEHAVIOR, BehaviorValues

# Rates that differ by less, relatively, are matched frame by frame: no frame is split.
SAME_RATE_TOLERANCE = 0.02
# An interval longer than this many microscope periods is a gap.
MAX_INTERVAL_PERIODS = 1.5
# Encoder frames returned for one gap: the newest ones; older ones are left out.
MAX_GAP_SAMPLES = 300


@dataclass(frozen=True)
class EncoderSample:
    """Activity at one encoder frame: values float32 (n,), NaN where unknown.

    frame: the newest microscope frame when the sample was made.
    """

    encoder_frame: int
    values: Array
    frame: int


class Aligner:
    """Resamples activity from microscope frames to encoder frames, as it comes in.

    Remembers the session's t0, the newest microscope frame, the next encoder frame due
    and the newest behaviour. `start_session` forgets all of it. is_amount: values are
    amounts per microscope frame, and are summed; otherwise they are averaged.
    """

    def __init__(self, rate_hz: float, *, is_amount: bool = True) -> None:
        self.rate_hz = rate_hz
        self._t0_s = math.nan
        self._integral = FrameIntegral(is_amount=is_amount)
        self.start_session(math.nan, rate_hz)

    def start_session(
        self, t0_s: float, microscope_hz: float, from_s: float | None = None
    ) -> None:
        """Start a session whose first frame is at `t0_s` on the microscope's clock.

        from_s: time of the first frame received, if the session started before.
        """
        self._t0_s = t0_s
        self.set_microscope_rate(microscope_hz)
        self._newest_s = -math.inf
        self._integral.clear()
        self._next_frame = 0 if from_s is None else self.find_encoder_frame(from_s)
        self._behavior = NO_BEHAVIOR
        self._behavior_s = -math.inf

    def set_microscope_rate(self, microscope_hz: float) -> None:
        """Expect microscope frames at this rate from now on."""
        self._period_s = 1.0 / microscope_hz
        difference = abs(microscope_hz / self.rate_hz - 1.0)
        self._is_same_rate = difference <= SAME_RATE_TOLERANCE

    def add_activity(
        self, t_s: float, frame: int, values: Array
    ) -> list[EncoderSample]:
        """Add one microscope frame; return the encoder frames it completes, in order.

        The activity of a microscope frame is spread evenly over the time since the
        frame before. An encoder frame sums what falls into it, so that the total does
        not depend on the microscope's rate. Where the microscope runs at the encoder's
        rate, no frame is split: each belongs to the encoder frame nearest to it, or in
        equal parts to two, where no other frame is near one of them.

        After a gap a frame covers one period. An encoder frame is NaN where less than
        half of it was measured. Only the newest `MAX_GAP_SAMPLES` of a gap are
        returned; `encoder_frame` shows how many were left out. A frame that is not
        newer than the last completes nothing.
        """
        if not t_s > self._newest_s:
            return []
        interval_s, self._newest_s = t_s - self._newest_s, t_s
        values = np.asarray(values, np.float32)
        is_gap = interval_s > MAX_INTERVAL_PERIODS * self._period_s
        if self._is_same_rate:
            return self._match_frame(t_s, frame, values, is_gap)
        if math.isinf(interval_s):  # nothing is missing before the first frame
            interval_s = max(self._period_s, 1.0 / self.rate_hz)
        elif is_gap:
            interval_s = self._period_s
        return self._integrate_frame(t_s, frame, values, interval_s)

    def find_encoder_frame(self, t_s: float) -> int:
        """Return the encoder frame nearest to `t_s`; negative before the session."""
        if math.isnan(self._t0_s):
            raise ValueError(
                "no session has started, so no time has an encoder frame yet"
            )
        return math.floor((t_s - self._t0_s) * self.rate_hz + 0.5)

    def add_behavior(self, t_s: float, sample: BehaviorValues) -> None:
        """Hold a behaviour sample; a value that is None keeps its last value."""
        if t_s < self._behavior_s:
            return
        self._behavior_s = t_s
        both = zip(self._behavior, sample, strict=True)
        newest = tuple(old if new is None else new for old, new in both)
        self._behavior = cast("BehaviorValues", newest)

    def latest_behavior(self) -> BehaviorValues:
        """Return the newest measured value of each; None where there is none."""
        return self._behavior

    def _time_of(self, encoder_frame: int) -> float:
        return self._t0_s + encoder_frame / self.rate_hz

    def _take_due(self, due: int) -> range:
        """Return the encoder frames from the next one to before `due`."""
        first = max(self._next_frame, due - MAX_GAP_SAMPLES)
        if first > self._next_frame:
            self._integral.clear()
        self._next_frame = max(self._next_frame, due)
        return range(first, due)

    def _match_frame(
        self, t_s: float, frame: int, values: Array, is_gap: bool
    ) -> list[EncoderSample]:
        """Give a frame to the nearest encoder frame, or to several in equal parts.

        The next microscope frame would be further from an encoder frame that is within
        half a period of this one, so that encoder frame is complete.
        """
        reach_s = self._period_s / 2
        indices = self._take_due(self._count_due(t_s + reach_s))
        near = [
            k for k in indices if not is_gap or abs(t_s - self._time_of(k)) <= reach_s
        ]
        if len(indices) == len(near) == 1 and self._integral.is_empty:  # as usual
            return [EncoderSample(indices[0], values, frame)]
        samples = []
        for k in indices:
            if k in near:
                self._integral.add_part(values, 1 / len(near), 1.0)
            samples.append(EncoderSample(k, self._integral.take(len(values)), frame))
        if not near:
            # Another frame was nearer to the encoder frame: the next one takes both.
            self._integral.add_part(values, 1.0, 1.0)
        return samples

    def _integrate_frame(
        self, t_s: float, frame: int, values: Array, interval_s: float
    ) -> list[EncoderSample]:
        """Spread a frame over the encoder frames in the `interval_s` before `t_s`."""
        samples = []
        for k in self._take_due(self._count_due(t_s)):
            self._add_overlap(k, t_s, values, interval_s)
            samples.append(EncoderSample(k, self._integral.take(len(values)), frame))
        self._add_overlap(self._next_frame, t_s, values, interval_s)
        return samples

    def _add_overlap(
        self, encoder_frame: int, t_s: float, values: Array, interval_s: float
    ) -> None:
        """Add the part of a frame that lies in one encoder frame."""
        end_s = self._time_of(encoder_frame)
        start_s = max(t_s - interval_s, end_s - 1.0 / self.rate_hz)
        overlap_s = min(t_s, end_s) - start_s
        if overlap_s > 0:
            shares = overlap_s / interval_s, overlap_s * self.rate_hz
            self._integral.add_part(values, *shares)

    def _count_due(self, t_s: float) -> int:
        """Return the number of encoder frames from t0 to t_s."""
        return math.floor((t_s - self._t0_s) * self.rate_hz + 1e-6) + 1
