"""Spike counts of each unit in each time bin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array

# A bin stays open this long after its end: Open Ephys detects spikes in blocks of
# samples and may report them after the block.
LATE_SPIKE_WAIT_S = 0.1


@dataclass(frozen=True)
class SpikeBin:
    """One bin: its number since sample 0, its start in s, and counts (n,) float32.

    Counts are NaN where messages that could have reported spikes were lost.
    """

    number: int
    t_s: float
    counts: Array


class SpikeBinner:
    """Counts spikes in bins of 1 / rate_hz; bin 0 starts with sample 0.

    The first bin is the first complete one after `sample`. `n_unknown_units` counts
    spikes of other units, `n_late` those that arrive after their bin was closed.
    """

    def __init__(
        self, units: list[str], rate_hz: float, sample_hz: float, sample: int
    ) -> None:
        self.n_unknown_units = 0
        self.n_late = 0
        self._unit_index = {unit: index for index, unit in enumerate(units)}
        self._rate_hz = rate_hz
        self._sample_hz = sample_hz
        self._next_number = self._bin_number(sample) + 1
        self._open_bins: dict[int, Array] = {}

    def add_spike(self, unit: str, sample: int) -> None:
        """Count one spike."""
        index, number = self._unit_index.get(unit), self._bin_number(sample)
        if index is None:
            self.n_unknown_units += 1
        elif number < self._next_number:
            self.n_late += 1
        else:
            self._counts_of_bin(number)[index] += 1

    def mark_missing(self, first_sample: int, last_sample: int) -> None:
        """Set the counts of all bins between two samples to NaN."""
        first = max(self._next_number, self._bin_number(first_sample))
        for number in range(first, self._bin_number(last_sample) + 1):
            self._counts_of_bin(number)[:] = np.nan

    def close_bins(self, sample: int) -> list[SpikeBin]:
        """Return the bins that are complete, given all samples before `sample`."""
        end = self._bin_number(sample - round(LATE_SPIKE_WAIT_S * self._sample_hz))
        closed = [
            SpikeBin(number, number / self._rate_hz, self._counts_of_bin(number))
            for number in range(self._next_number, end)
        ]
        self._next_number = max(self._next_number, end)
        for spike_bin in closed:
            del self._open_bins[spike_bin.number]
        return closed

    def _counts_of_bin(self, number: int) -> Array:
        if number not in self._open_bins:
            n_units = len(self._unit_index)
            self._open_bins[number] = np.zeros(n_units, np.float32)
        return self._open_bins[number]

    def _bin_number(self, sample: int) -> int:
        return int(sample * self._rate_hz // self._sample_hz)
