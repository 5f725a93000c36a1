"""What the movie predicts of neurons that it was not made from, and what they did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rtrecon.core.types import Array
from rtrecon.display.ring import FrameRing
from rtrecon.metrics.similarity import pearson_per_neuron
from rtrecon.protocol.messages import HeldOut

COLUMNS = 600  # encoder frames: 20 s at 30 Hz, as long as quality is judged over
ENOUGH_FRAMES = 90  # fewer say nothing yet
RANKS = (1.0, 0.75, 0.5, 0.25)  # the best neuron, and those that better this share
_RANK_EVERY_FRAMES = 150  # neurons that change places all the time cannot be followed


class Trace(NamedTuple):
    """One neuron: (COLUMNS,) observed and predicted, NaN where unknown, and their r."""

    neuron: int
    r: float
    observed: Array
    predicted: Array


class HeldOutTraces:
    """Observed and predicted activity of the held-out neurons that are published."""

    def __init__(self, neurons: Sequence[int]) -> None:
        self.neurons = list(neurons)
        self._observed = FrameRing(len(neurons), COLUMNS)
        self._predicted = FrameRing(len(neurons), COLUMNS)
        self._shown: list[int] = []
        self._ranked_at = 0

    def observe(self, index: int, activity: Array) -> None:
        """Take the activity (n_neurons,) of all neurons at an encoder frame."""
        if max(self.neurons, default=-1) < len(activity):
            self._observed.put(index, activity[self.neurons])

    def predict(self, told: HeldOut) -> None:
        """Take predictions; frames that are known already are left as they are."""
        for index, column in enumerate(told.predicted, told.index):
            if index > self._predicted.newest:
                self._predicted.put(index, np.asarray(column, np.float32))

    def traces(self) -> list[Trace]:
        """Return a neuron of each rank by r; none before there is enough to tell.

        Ranks are given every few seconds, while r is of this moment.
        """
        newest = self._predicted.newest
        observed = self._observed.until(newest)
        predicted = self._predicted.until(newest)
        told = np.flatnonzero(np.isfinite(observed + predicted).sum(1) >= ENOUGH_FRAMES)
        if not len(told):
            return []
        r = np.nan_to_num(pearson_per_neuron(observed.T, predicted.T))
        if not self._shown or newest - self._ranked_at >= _RANK_EVERY_FRAMES:
            self._ranked_at = newest
            self._shown = _ranked(told, r)
        return [
            Trace(self.neurons[i], float(r[i]), observed[i], predicted[i])
            for i in self._shown
        ]


def _ranked(told: Array, r: Array) -> list[int]:
    """Return which of the rows `told` has each of the ranks by r."""
    order = told[np.argsort(r[told])]
    return [int(order[round(share * (len(order) - 1))]) for share in RANKS]
