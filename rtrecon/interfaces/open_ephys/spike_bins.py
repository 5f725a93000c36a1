"""Spikes counted: how many of each unit in each bin of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array

# After its end a bin stays open so long: spikes are found in blocks of samples, and
# may be told after the samples that they were found in.
PATIENCE_S = 0.1


@dataclass(frozen=True)
class Bin:
    """One bin: its number since sample 0, when it began (s), and counts (n,) float32.

    Counts are NaN where messages were lost that may have told of spikes.
    """

    number: int
    t_s: float
    counts: Array


class Bins:
    """Counts spikes in bins of 1 / rate_hz, on a grid that begins with sample 0.

    The first bin is the first whole one from `sample` on. Spikes of other units, and
    those that come after their bin was closed, are counted in `strangers` and `late`.
    """

    def __init__(
        self, units: list[str], rate_hz: float, sample_hz: float, sample: int
    ) -> None:
        self.strangers = 0
        self.late = 0
        self._places = {unit: place for place, unit in enumerate(units)}
        self._rate_hz = rate_hz
        self._sample_hz = sample_hz
        self._next = self._bin_of(sample) + 1
        self._open: dict[int, Array] = {}

    def spike(self, unit: str, sample: int) -> None:
        """Count one spike."""
        place, number = self._places.get(unit), self._bin_of(sample)
        if place is None:
            self.strangers += 1
        elif number < self._next:
            self.late += 1
        else:
            self._counts(number)[place] += 1

    def lose(self, first_sample: int, last_sample: int) -> None:
        """Take nothing for known of the bins between two samples."""
        first = max(self._next, self._bin_of(first_sample))
        for number in range(first, self._bin_of(last_sample) + 1):
            self._counts(number)[:] = np.nan

    def close(self, sample: int) -> list[Bin]:
        """Return the bins that are over now that all before `sample` has been told."""
        end = self._bin_of(sample - round(PATIENCE_S * self._sample_hz))
        closed = [
            Bin(number, number / self._rate_hz, self._counts(number))
            for number in range(self._next, end)
        ]
        self._next = max(self._next, end)
        for done in closed:
            del self._open[done.number]
        return closed

    def _counts(self, number: int) -> Array:
        if number not in self._open:
            self._open[number] = np.zeros(len(self._places), np.float32)
        return self._open[number]

    def _bin_of(self, sample: int) -> int:
        return int(sample * self._rate_hz // self._sample_hz)
