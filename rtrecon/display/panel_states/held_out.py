"""Held-out neurons: recorded activity, and activity predicted from the movie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rtrecon.core.types import Array
from rtrecon.display.ring_buffers import ColumnRing
from rtrecon.display.state import PanelState
from rtrecon.metrics.similarity import neuron_correlations
from rtrecon.protocol.messages import (
    Activity,
    HeldOutPrediction,
    Movie,
    PublishedMessage,
    Quality,
)
from rtrecon.stimulus_space.video import VIDEO

N_COLUMNS = 600  # encoder frames: 20 s at 30 Hz, as long as quality is averaged over
MIN_FRAMES = 90  # with fewer frames r means nothing
RANKS = (1.0, 0.75, 0.5, 0.25)  # fraction of the neurons with a smaller or equal r
_RANK_INTERVAL_FRAMES = 150  # neurons that change rows all the time cannot be followed


class NeuronTrace(NamedTuple):
    """One neuron: (N_COLUMNS,) recorded and predicted, NaN where unknown, and r."""

    neuron: int
    r: float
    recorded: Array
    predicted: Array


class HeldOutTraces:
    """Recorded and predicted activity of the held-out neurons that are published."""

    def __init__(self, neurons: Sequence[int]) -> None:
        self.neurons = list(neurons)
        self._recorded = ColumnRing(len(neurons), N_COLUMNS)
        self._predicted = ColumnRing(len(neurons), N_COLUMNS)
        self._shown_rows: list[int] = []
        self._ranked_index = 0

    def add_activity(self, encoder_frame: int, activity: Array) -> None:
        """Store the recorded activity (n_neurons,) of all neurons at a frame."""
        if max(self.neurons, default=-1) < len(activity):
            self._recorded.put(encoder_frame, activity[self.neurons])

    def add_prediction(self, prediction: HeldOutPrediction) -> None:
        """Store predictions of frames that have none yet."""
        for encoder_frame, column in enumerate(
            prediction.predicted, prediction.encoder_frame
        ):
            if encoder_frame > self._predicted.newest_index:
                self._predicted.put(encoder_frame, np.asarray(column, np.float32))

    def ranked_traces(self) -> list[NeuronTrace]:
        """Return one neuron per rank of `RANKS`; none before there are enough frames.

        The ranking is renewed every few seconds; r is always up to date.
        """
        newest = self._predicted.newest_index
        recorded = self._recorded.columns_until(newest)
        predicted = self._predicted.columns_until(newest)
        n_frames = np.isfinite(recorded + predicted).sum(1)
        candidates = np.flatnonzero(n_frames >= MIN_FRAMES)
        if not len(candidates):
            return []
        r = np.nan_to_num(neuron_correlations(recorded.T, predicted.T))
        if not self._shown_rows or newest - self._ranked_index >= _RANK_INTERVAL_FRAMES:
            self._ranked_index = newest
            self._shown_rows = _select_by_rank(candidates, r)
        return [
            NeuronTrace(self.neurons[row], float(r[row]), recorded[row], predicted[row])
            for row in self._shown_rows
        ]


class HeldOutState(PanelState):
    """The held-out neurons of the session; None before the first prediction.

    space: of the stimuli.
    """

    message_types = (Activity, Movie, Quality)

    def __init__(self) -> None:
        self.traces: HeldOutTraces | None = None
        self.space = VIDEO

    @property
    def rate_hz(self) -> float:
        """Encoder frames per second."""
        return self.space.rate_hz

    def update(self, message: PublishedMessage, payload: Array, now_s: float) -> bool:
        """Store recorded activity, or a prediction: only this one changes the plot."""
        if isinstance(message, Activity):
            if self.traces is not None:
                self.traces.add_activity(message.encoder_frame, payload)
            return False
        if isinstance(message, Movie):
            self.space = message.stimulus_space or VIDEO
            return False
        assert isinstance(message, Quality)
        prediction = message.held_out
        if prediction is None:
            return False
        if self.traces is None or self.traces.neurons != prediction.neurons:
            self.traces = HeldOutTraces(prediction.neurons)
        self.traces.add_prediction(prediction)
        return True


def _select_by_rank(candidates: Array, r: Array) -> list[int]:
    """Return the row, one of `candidates`, that has each of the `RANKS` by r."""
    by_r = candidates[np.argsort(r[candidates])]
    return [int(by_r[round(rank * (len(by_r) - 1))]) for rank in RANKS]
