"""Counters and latencies of the inverter's hops, which its health message reports."""

from __future__ import annotations

import time

from rtrecon.metrics.latency import LatencyHistogram
from rtrecon.protocol import messages


class HopStatistics:
    """What the hops of one session took. hop_s: time that a hop may take."""

    def __init__(self, hop_s: float) -> None:
        self.n_hops = self.n_steps = self.deadline_misses = 0
        self.latency = {
            name: LatencyHistogram()
            for name in ("activity_to_movie", "frame_to_movie", "hop")
        }
        self._hop_s = hop_s

    @property
    def steps_per_hop(self) -> float:
        """Mean number of steps."""
        return self.n_steps / max(1, self.n_hops)

    def count_skipped_hop(self, newest: messages.Activity) -> None:
        """Count a hop without steps, `newest` the last of its frames."""
        if not newest.is_backlog:
            self.deadline_misses += 1

    def count_hop(self, newest: messages.Activity, n_steps: int, took_s: float) -> None:
        """Count a hop; it misses its deadline if it took longer than a hop lasts."""
        self.n_hops += 1
        self.n_steps += n_steps
        self.latency["hop"].add_latency(took_s * 1e3)
        if took_s > self._hop_s and not newest.is_backlog:
            self.deadline_misses += 1

    def count_movie(self, newest: messages.Activity) -> None:
        """Add the latencies of a movie that has just been sent.

        Activity that had to wait until there was a reference is left out.
        """
        if not newest.is_backlog:
            now = time.time()
            self.latency["activity_to_movie"].add_latency((now - newest.t) * 1e3)
            self.latency["frame_to_movie"].add_latency((now - newest.t_frame) * 1e3)
