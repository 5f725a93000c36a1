"""The last seconds of activity as a picture: a row per neuron, newest on the right."""

from __future__ import annotations

import numpy as np

from rtrecon.wire import Array

COLUMNS = 300  # encoder frames: 10 s at 30 Hz
MOST_ROWS = 240  # more rows than that no screen shows; every k-th neuron stands in
RESCALE_EVERY = 30  # frames: brightness that follows every frame would flicker
_PERCENTILES = (10, 99)


class Raster:
    """A ring of activity by encoder frame; frames that never came stay dark."""

    def __init__(self, n_neurons: int) -> None:
        self.n_neurons = n_neurons
        self._every = max(1, -(-n_neurons // MOST_ROWS))
        n_rows = -(-n_neurons // self._every)
        self._ring = np.full((n_rows, COLUMNS), np.nan, np.float32)
        self._low = np.zeros((n_rows, 1), np.float32)
        self._span = np.ones((n_rows, 1), np.float32)
        self._newest = -1
        self._added = 0

    @property
    def rows(self) -> int:
        """How many neurons are drawn."""
        return len(self._ring)

    def add(self, index: int, activity: Array) -> None:
        """Place activity (n_neurons,) at its encoder frame."""
        if index <= self._newest:  # the daemon counts from the start again
            self._ring.fill(np.nan)
        for skipped in range(max(self._newest + 1, index - COLUMNS + 1), index):
            self._ring[:, skipped % COLUMNS] = np.nan
        self._ring[:, index % COLUMNS] = activity[:: self._every]
        self._newest = index
        # Early on the scale settles with every frame, for there is little to go by.
        if self._added < RESCALE_EVERY or self._added % RESCALE_EVERY == 0:
            self._rescale()
        self._added += 1

    def picture(self) -> Array:
        """Return uint8 (rows, COLUMNS), each neuron scaled to its own recent range."""
        rolled = np.roll(self._ring, COLUMNS - 1 - self._newest % COLUMNS, axis=1)
        brightness = np.clip((rolled - self._low) / self._span, 0, 1)
        return np.asarray(np.nan_to_num(brightness) * 255, np.uint8)

    def _rescale(self) -> None:
        came = np.isfinite(self._ring).any(axis=0)
        if not came.any():
            return
        ends = np.percentile(np.nan_to_num(self._ring[:, came]), _PERCENTILES, axis=1)
        low, high = ends.astype(np.float32)
        span = high - low
        # A silent neuron has no range of its own: without a floor its noise would glow.
        floor = max(float(np.median(span)) / 4, 1e-6)
        self._low, self._span = low[:, None], np.maximum(span, floor)[:, None]
