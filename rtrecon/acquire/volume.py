"""Planes of one volume: their neurons put together, encoder frame by encoder frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.acquire.align import Tick
from rtrecon.wire import Array


@dataclass(frozen=True)
class Complete:
    """All neurons at one encoder frame, and when its newest image was received."""

    tick: Tick
    t_received: float  # s, wall clock


class Volume:
    """Joins the ticks of planes into ticks of all neurons, in order.

    neurons: for each plane the places of its neurons among all `n`. A tick waits until
    every plane has told of it, at most `patience` encoder frames: the neurons of a
    plane that stays silent are then NaN, and what it tells of that frame later is lost.
    """

    def __init__(self, neurons: list[Array], patience: int) -> None:
        self._neurons = neurons
        self._n = sum(len(own) for own in neurons)
        self._patience = patience
        self._newest = [-1] * len(neurons)  # tick told, by plane
        self._sent = -1
        self._waiting: dict[int, Complete] = {}

    def add(self, plane: int, ticks: list[Tick], t_received: float) -> list[Complete]:
        """Take one plane's ticks; return those that are now complete, in order."""
        for tick in ticks:
            self._newest[plane] = tick.index
            if tick.index > self._sent:
                self._join(plane, tick, t_received)
        return self._take(max(min(self._newest), max(self._newest) - self._patience))

    def _join(self, plane: int, tick: Tick, t_received: float) -> None:
        held = self._waiting.get(tick.index)
        values = held.tick.values if held else np.full(self._n, np.nan, np.float32)
        values[self._neurons[plane]] = tick.values
        frame = max(tick.frame, held.tick.frame) if held else tick.frame
        self._waiting[tick.index] = Complete(
            Tick(tick.index, values, frame), t_received
        )

    def _take(self, last: int) -> list[Complete]:
        ready = sorted(index for index in self._waiting if index <= last)
        self._sent = max(self._sent, *ready) if ready else self._sent
        return [self._waiting.pop(index) for index in ready]
