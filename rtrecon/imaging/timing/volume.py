"""Planes of one volume: their neurons put together, encoder frame by encoder frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.timing.aligner import Tick


@dataclass(frozen=True)
class Complete:
    """All neurons at one encoder frame, and when its newest image was received.

    late: an image in it had to wait before it was processed.
    """

    tick: Tick
    t_received: float  # s, wall clock
    late: bool = False


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

    def add(
        self, plane: int, told: list[Complete], *, catching_up: bool = False
    ) -> list[Complete]:
        """Take one plane's ticks; return those that are now complete, in order.

        catching_up: some plane has images that it will tell of; it is waited for.
        """
        for part in told:
            self._newest[plane] = part.tick.index
            if part.tick.index > self._sent:
                self._join(plane, part)
        last = min(self._newest)
        if not catching_up:
            last = max(last, max(self._newest) - self._patience)
        return self._take(last)

    def _join(self, plane: int, part: Complete) -> None:
        tick, held = part.tick, self._waiting.get(part.tick.index)
        values = held.tick.values if held else np.full(self._n, np.nan, np.float32)
        values[self._neurons[plane]] = tick.values
        frame = max(tick.frame, held.tick.frame) if held else tick.frame
        late = part.late or bool(held and held.late)
        joined = Tick(tick.index, values, frame)
        self._waiting[tick.index] = Complete(joined, part.t_received, late)

    def _take(self, last: int) -> list[Complete]:
        ready = sorted(index for index in self._waiting if index <= last)
        self._sent = max(self._sent, *ready) if ready else self._sent
        return [self._waiting.pop(index) for index in ready]
