"""Memory of this process: now, and at most."""

from __future__ import annotations

import psutil


class MemoryMeter:
    """Measures resident memory and stores the largest value measured."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.peak_mb = 0.0

    def measure_mb(self) -> float:
        """Return resident memory in MiB."""
        now_mb = float(self._process.memory_info().rss / 2**20)
        self.peak_mb = max(self.peak_mb, now_mb)
        return now_mb
