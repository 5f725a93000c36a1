"""Latency histogram and rate meter, whose memory does not grow with the session."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.messages import LatencyPercentiles

MIN_MS = 1e-3
MAX_MS = 1e5
BIN_RATIO = 1.01  # ratio of neighbouring bins: a percentile is exact to 1 %

_LOG_RATIO = math.log(BIN_RATIO)
_N_BINS = math.ceil(math.log(MAX_MS / MIN_MS) / _LOG_RATIO) + 1


class LatencyHistogram:
    """How often each latency occurred, from 1 us to 100 s in bins of 1 %.

    Values outside count in the outermost bin; the maximum is exact.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_N_BINS, np.int64)
        self._max_ms = 0.0

    def add_latency(self, latency_ms: float) -> None:
        """Count one latency. One below zero (two clocks disagree) counts as zero."""
        bin_index = math.log(max(latency_ms, MIN_MS) / MIN_MS) / _LOG_RATIO
        self._counts[min(int(bin_index), _N_BINS - 1)] += 1
        self._max_ms = max(self._max_ms, latency_ms)

    def add_histogram(self, other: LatencyHistogram) -> None:
        """Add everything that another histogram counted."""
        self._counts += other._counts
        self._max_ms = max(self._max_ms, other._max_ms)

    def percentiles(self) -> LatencyPercentiles:
        """Return the distribution so far; all zero with n = 0 before the first."""
        cumulative = np.cumsum(self._counts)
        n = int(cumulative[-1])
        p50, p95, p99 = (self._percentile(cumulative, q) for q in (0.50, 0.95, 0.99))
        return LatencyPercentiles(p50=p50, p95=p95, p99=p99, max=self._max_ms, n=n)

    def _percentile(self, cumulative: Array, q: float) -> float:
        rank = max(1, math.ceil(q * int(cumulative[-1])))
        bin_index = int(np.searchsorted(cumulative, rank))
        middle_ms = MIN_MS * BIN_RATIO ** (bin_index + 0.5)
        return float(min(middle_ms, self._max_ms))


class RateMeter:
    """Events per second over the last `window_s`; the caller gives the time.

    Stores one time per event in the window.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._times_s: deque[float] = deque()

    def count_event(self, now_s: float) -> None:
        """Count one event."""
        self._times_s.append(now_s)
        self._drop_old_events(now_s)

    def rate_hz(self, now_s: float) -> float:
        """Return the rate: intervals since the oldest event in the window.

        Exact for a steady stream from its second event on; falls when events stop.
        """
        self._drop_old_events(now_s)
        if len(self._times_s) < 2 or now_s <= self._times_s[0]:
            return 0.0
        return (len(self._times_s) - 1) / (now_s - self._times_s[0])

    def _drop_old_events(self, now_s: float) -> None:
        while self._times_s and self._times_s[0] < now_s - self._window_s:
            self._times_s.popleft()
