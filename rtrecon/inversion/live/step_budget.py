"""Decides how long the optimisation may take, so that each hop ends in time."""

from __future__ import annotations

from collections import deque

_MAX_HOP_FRACTION = 0.9  # of the time of a hop; the rest is for what is not foreseen
_MIN_FRACTION = 0.2  # for steps, however long the rest takes


class StepBudget:
    """Time for the steps of a hop: a fraction of it, less what the rest needs.

    Every `period_hops` hops the rest takes longer, because metrics are published. So
    the hop that was `period_hops` ago predicts what it will take. hop_s: time between
    two hops. fraction: of it, for steps at most.
    """

    def __init__(self, hop_s: float, fraction: float, period_hops: int) -> None:
        self._hop_s, self._fraction = hop_s, fraction
        self._other_s: deque[float] = deque(maxlen=period_hops)
        self._steps_s = 0.0

    @property
    def steps_s(self) -> float:
        """Time in s for all steps of the hop that begins now."""
        expected_s = self._other_s[0] if self._is_full else 0.0
        free_s = _MAX_HOP_FRACTION * self._hop_s - expected_s
        least_s = min(_MIN_FRACTION, self._fraction) * self._hop_s
        return max(least_s, min(self._fraction * self._hop_s, free_s))

    def add_steps(self, took_s: float) -> None:
        """Add the time that steps of this hop took."""
        self._steps_s += took_s

    def end_hop(self, took_s: float) -> None:
        """End the hop; took_s: all of it."""
        self._other_s.append(took_s - self._steps_s)
        self._steps_s = 0.0

    @property
    def _is_full(self) -> bool:
        return len(self._other_s) == self._other_s.maxlen
