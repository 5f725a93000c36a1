"""The last seconds of activity as a picture: a row per neuron, newest on the right."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from rtrecon.core.types import Array
from rtrecon.display.ring import FrameRing

Order = Literal["as recorded", "busiest on top", "alike together"]
ORDERS: tuple[Order, ...] = get_args(Order)

COLUMNS = 300  # encoder frames: 10 s at 30 Hz
MOST_ROWS = 240  # more rows than that no screen shows; every k-th neuron stands in
RESCALE_EVERY = 30  # frames: brightness that follows every frame would flicker
_PERCENTILES = (10, 99)


class Raster:
    """A ring of activity by encoder frame; frames that never came stay dark.

    Rows are sorted once, by what was there when that was asked for: rows that change
    places all the time cannot be followed.
    """

    def __init__(self, n_neurons: int) -> None:
        self.n_neurons = n_neurons
        self._every = max(1, -(-n_neurons // MOST_ROWS))
        n_rows = -(-n_neurons // self._every)
        self._ring = FrameRing(n_rows, COLUMNS)
        self._order = np.arange(n_rows)
        self._low = np.zeros((n_rows, 1), np.float32)
        self._span = np.ones((n_rows, 1), np.float32)
        self._unscaled = 0  # frames since brightness was set

    @property
    def rows(self) -> int:
        """How many neurons are drawn."""
        return self._ring.n_rows

    def add(self, index: int, activity: Array) -> None:
        """Place activity (n_neurons,) at its encoder frame."""
        self._ring.put(index, activity[:: self._every])
        self._unscaled += 1

    def sort(self, order: Order) -> None:
        """Put the rows in another order, by the activity of the last seconds."""
        shown = self._brightness()
        if order == "busiest on top":
            self._order = np.argsort(-shown.mean(1), kind="stable")
        elif order == "alike together":
            self._order = _alike_together(shown)
        else:
            self._order = np.arange(self.rows)

    def picture(self) -> Array:
        """Return uint8 (rows, COLUMNS), each neuron scaled to its own recent range."""
        return np.asarray(self._brightness()[self._order] * 255, np.uint8)

    def _brightness(self) -> Array:
        activity = self._ring.until(self._ring.newest)
        # Early on the scale settles with every picture, for there is little to go by.
        early = np.isnan(activity[:, 0]).all()
        if self._unscaled >= RESCALE_EVERY or early:
            self._rescale(activity)
        return np.nan_to_num(np.clip((activity - self._low) / self._span, 0, 1))

    def _rescale(self, activity: Array) -> None:
        self._unscaled = 0
        came = np.isfinite(activity).any(axis=0)
        if not came.any():
            return
        ends = np.percentile(np.nan_to_num(activity[:, came]), _PERCENTILES, axis=1)
        low, high = ends.astype(np.float32)
        span = high - low
        # A silent neuron has no range of its own: without a floor its noise would glow.
        floor = max(float(np.median(span)) / 4, 1e-6)
        self._low, self._span = low[:, None], np.maximum(span, floor)[:, None]


def _alike_together(shown: Array) -> Array:
    """Return an order in which neighbours do alike: round the two main components."""
    centred = shown - shown.mean(1, keepdims=True)
    rows, _, _ = np.linalg.svd(centred, full_matrices=False)
    first, second = rows[:, 0], rows[:, min(1, rows.shape[1] - 1)]
    return np.argsort(np.arctan2(second, first), kind="stable")
