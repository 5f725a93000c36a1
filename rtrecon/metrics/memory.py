"""How much memory this process holds, and held at most."""

from __future__ import annotations

import psutil


class MemoryMeter:
    """Remembers the largest resident size it was shown; asked about once a second."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.peak_mb = 0.0

    def now_mb(self) -> float:
        """Return resident memory in MiB."""
        now_mb = float(self._process.memory_info().rss / 2**20)
        self.peak_mb = max(self.peak_mb, now_mb)
        return now_mb
