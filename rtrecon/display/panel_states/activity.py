"""The last ten seconds of activity as a raster, one row per neuron."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from rtrecon.core.frame_intervals import is_time_lapse
from rtrecon.core.types import Array
from rtrecon.display.playback import ENCODER_RATE_HZ
from rtrecon.display.ring_buffers import ColumnRing
from rtrecon.display.state import PanelState
from rtrecon.protocol.messages import Activity, Health, Movie, PublishedMessage
from rtrecon.stimulus_space.video import VIDEO

RowOrder = Literal["as recorded", "most active on top", "similar together"]
ROW_ORDERS: tuple[RowOrder, ...] = get_args(RowOrder)
N_COLUMNS = 300  # encoder frames: 10 s at 30 Hz
MAX_ROWS = 240  # a screen shows no more; of more neurons every k-th is drawn
RESCALE_INTERVAL_FRAMES = 30  # a brightness that follows every frame would flicker
_RANGE_PERCENTILES = (10, 99)


class Raster:
    """Activity by neuron and encoder frame; frames that were not received are dark.

    Rows are sorted once, by the activity stored when the user asks for it: rows that
    move all the time cannot be followed.
    """

    def __init__(self, n_neurons: int) -> None:
        self.n_neurons = n_neurons
        self.order: RowOrder = "as recorded"
        self._neuron_step = max(1, -(-n_neurons // MAX_ROWS))
        n_rows = -(-n_neurons // self._neuron_step)
        self._ring = ColumnRing(n_rows, N_COLUMNS)
        self._row_indices = np.arange(n_rows)
        self._low = np.zeros((n_rows, 1), np.float32)
        self._range = np.ones((n_rows, 1), np.float32)
        self._frames_since_rescale = 0

    @property
    def n_rows(self) -> int:
        """Number of neurons that are drawn."""
        return self._ring.n_rows

    def add_frame(self, encoder_frame: int, activity: Array) -> None:
        """Store the activity (n_neurons,) of an encoder frame."""
        self._ring.put(encoder_frame, activity[:: self._neuron_step])
        self._frames_since_rescale += 1

    def sort_rows(self, order: RowOrder) -> None:
        """Order the rows by the activity of the last seconds."""
        self.order = order
        brightness = self._brightness()
        if order == "most active on top":
            self._row_indices = np.argsort(-brightness.mean(1), kind="stable")
        elif order == "similar together":
            self._row_indices = _order_by_similarity(brightness)
        else:
            self._row_indices = np.arange(self.n_rows)

    def to_image(self) -> Array:
        """Return uint8 (n_rows, N_COLUMNS), each neuron scaled to its recent range."""
        return np.asarray(self._brightness()[self._row_indices] * 255, np.uint8)

    def _brightness(self) -> Array:
        activity = self._ring.columns_until(self._ring.newest_index)
        # Until the raster is full there is little data: rescale with every image.
        is_filling = np.isnan(activity[:, 0]).all()
        if self._frames_since_rescale >= RESCALE_INTERVAL_FRAMES or is_filling:
            self._rescale(activity)
        return np.nan_to_num(np.clip((activity - self._low) / self._range, 0, 1))

    def _rescale(self, activity: Array) -> None:
        self._frames_since_rescale = 0
        was_received = np.isfinite(activity).any(axis=0)
        if not was_received.any():
            return
        received = np.nan_to_num(activity[:, was_received])
        limits = np.percentile(received, _RANGE_PERCENTILES, axis=1)
        low, high = limits.astype(np.float32)
        span = high - low
        # A silent neuron has hardly any range: without a floor its noise would glow.
        floor = max(float(np.median(span)) / 4, 1e-6)
        self._low, self._range = low[:, None], np.maximum(span, floor)[:, None]


class ActivityState(PanelState):
    """The raster of the session; None before the first activity.

    column_s: time of one column; that of a frame in a time-lapse.
    """

    message_types = (Activity, Health, Movie)

    def __init__(self) -> None:
        self.raster: Raster | None = None
        self.column_s = 1 / ENCODER_RATE_HZ

    def update(self, message: PublishedMessage, payload: Array, now_s: float) -> bool:
        """Store the activity of one encoder frame, or the interval of the frames."""
        if isinstance(message, Health):
            interval_s = message.frame_interval_s
            if interval_s and is_time_lapse(1 / interval_s):
                self.column_s = interval_s
            return False
        if isinstance(message, Movie):
            self.column_s = 1 / (message.stimulus_space or VIDEO).rate_hz
            return False
        assert isinstance(message, Activity)
        if self.raster is None or self.raster.n_neurons != len(payload):
            self.raster = Raster(len(payload))
        self.raster.add_frame(message.encoder_frame, payload)
        return True


def _order_by_similarity(brightness: Array) -> Array:
    """Return row indices so that neighbours have similar activity.

    Sorts by the angle in the plane of the two largest principal components.
    """
    centred = brightness - brightness.mean(1, keepdims=True)
    components, _, _ = np.linalg.svd(centred, full_matrices=False)
    first = components[:, 0]
    second = components[:, min(1, components.shape[1] - 1)]
    return np.argsort(np.arctan2(second, first), kind="stable")
