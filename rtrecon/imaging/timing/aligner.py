"""Every clock on one time base: encoder frame k sits at t0 + k / rate_hz.

t0 is the microscope's time of the session's first frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from scipy.sparse import csr_array

from rtrecon.core.types import Array
from rtrecon.protocol.behavior import UNKNOWN, Behaved

SAME_RATE = 0.02  # relative; closer rates are matched frame by frame, not blended
HOLE_PERIODS = 1.5  # an interval longer than this many microscope periods is a hole
MAX_HOLE_TICKS = 300  # encoder frames told of a hole: its newest; older ones are left


@dataclass(frozen=True)
class Tick:
    """Activity at one encoder frame: values float32 (n,), NaN where there is none."""

    index: int
    values: Array
    frame: int  # newest microscope frame known when it was made


@dataclass(frozen=True)
class _Sample:
    t_s: float
    frame: int
    values: Array


class Aligner:
    """Resamples the microscope's samples to the encoder's frames, as they come.

    Remembers the session's t0, the microscope's newest sample, the next encoder frame
    due and the newest behaviour. `start` begins anew.
    """

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self._t0_s = math.nan
        self.start(math.nan, rate_hz)

    def start(
        self, t0_s: float, microscope_hz: float, from_s: float | None = None
    ) -> None:
        """Begin a session whose first frame is at `t0_s` on the microscope's clock.

        from_s: the first that is seen, of a session that was begun before.
        """
        self._t0_s = t0_s
        self._period_s = 1.0 / microscope_hz
        self._same_rate = abs(microscope_hz / self.rate_hz - 1.0) <= SAME_RATE
        self._newest: _Sample | None = None
        self._next = 0 if from_s is None else self.index_of(from_s)
        self._behavior = UNKNOWN
        self._behavior_s = -math.inf

    def activity(self, t_s: float, frame: int, values: Array) -> list[Tick]:
        """Take one sample and return the encoder frames that it completes, in order.

        A tick lies on the line between its two neighbours. Where the microscope runs at
        the encoder's rate, and next to a hole, it is the nearest sample instead; within
        a hole, further than half a period from both, it is NaN. Only the newest
        `MAX_HOLE_TICKS` of a hole are returned; the index tells how many were left out.
        A sample that is not newer than the last completes nothing.
        """
        if self._newest is not None and not t_s > self._newest.t_s:
            return []
        sample = _Sample(t_s, frame, np.asarray(values, np.float32))
        before, self._newest = self._newest or sample, sample
        # At equal rates the next sample will be further from a tick this close.
        reach_s = self._period_s / 2 if self._same_rate else 0.0
        due = math.floor((t_s + reach_s - self._t0_s) * self.rate_hz + 1e-6) + 1
        first = max(self._next, due - MAX_HOLE_TICKS)
        self._next = max(self._next, due)
        return [
            Tick(k, self._values_at(self._time_of(k), before, sample), frame)
            for k in range(first, due)
        ]

    def index_of(self, t_s: float) -> int:
        """Return the encoder frame nearest to `t_s`; negative before the session."""
        if math.isnan(self._t0_s):
            raise ValueError("no session has started, so no time has an index yet")
        return math.floor((t_s - self._t0_s) * self.rate_hz + 0.5)

    def behavior(self, t_s: float, sample: Behaved) -> None:
        """Hold a behaviour sample; what is None keeps its last value."""
        if t_s < self._behavior_s:
            return
        self._behavior_s = t_s
        both = zip(self._behavior, sample, strict=True)
        newest = tuple(old if new is None else new for old, new in both)
        self._behavior = cast("Behaved", newest)

    def behavior_at(self) -> Behaved:
        """Return the newest that was measured of each; None where there is none."""
        return self._behavior

    def _time_of(self, index: int) -> float:
        return self._t0_s + index / self.rate_hz

    def _values_at(self, t_s: float, before: _Sample, after: _Sample) -> Array:
        nearest = after if after.t_s - t_s <= t_s - before.t_s else before
        interval_s = after.t_s - before.t_s
        if interval_s > HOLE_PERIODS * self._period_s:
            if abs(nearest.t_s - t_s) > self._period_s / 2:
                return np.full_like(after.values, np.nan)
            return nearest.values
        if self._same_rate or interval_s == 0.0:
            return nearest.values
        weight = np.float32((t_s - before.t_s) / interval_s)
        blend: Array = (1 - weight) * before.values + weight * after.values
        return blend


def to_encoder_frame(image: Array, shape: tuple[int, int] = (36, 64)) -> Array:
    """Return uint8 `shape`: each pixel is the mean of the area it covers in `image`.

    `image` is uint8 (height, width) of any size, stretched to the shape if its aspect
    is another.
    """
    rows = _area_weights(image.shape[0], shape[0])
    columns = _area_weights(image.shape[1], shape[1])
    mean: Array = (columns @ (rows @ image.astype(np.float32)).T).T
    return np.rint(mean).astype(np.uint8)


@lru_cache(maxsize=8)
def _area_weights(n_in: int, n_out: int) -> csr_array:
    """Return (n_out, n_in): the share that each input side has in every output side.

    Sparse, because most are zero, and because its product keeps to one thread: dense
    ones wait for each other wherever the cores are busy, 20 ms instead of 0.3.
    """
    edges_in: Array = np.arange(n_in + 1) / n_in
    edges_out: Array = np.arange(n_out + 1) / n_out
    low = np.maximum(edges_out[:-1, None], edges_in[None, :-1])
    high = np.minimum(edges_out[1:, None], edges_in[None, 1:])
    weights: Array = np.clip(high - low, 0.0, None) * n_out
    return csr_array(weights.astype(np.float32))
