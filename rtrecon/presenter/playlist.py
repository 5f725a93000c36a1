"""Which clip is shown next: as listed, in random order, or as the daemon asks."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

MAX_REQUESTS = 16  # clips that were asked for and not shown yet; older ones are dropped


@dataclass(frozen=True)
class PlayOrder:
    """How often each clip is shown, and in which order.

    is_random: each repeat has an order of its own, drawn with `seed`. repeats: how
    often the whole list is shown; 0 = until somebody stops it.
    """

    is_random: bool = False
    seed: int = 0
    repeats: int = 1


class Playlist:
    """The clips that are still to be shown, by name.

    names: in the order of the user; a name that occurs twice is shown twice. A clip
    that is requested comes next, in place of its next turn in the list.
    """

    def __init__(self, names: list[str], order: PlayOrder) -> None:
        self._names, self._order = names, order
        self._rng = np.random.default_rng(order.seed)
        self._pending: deque[str] = deque()
        self._requested: deque[str] = deque(maxlen=MAX_REQUESTS)
        self._n_repeats = 0

    def request(self, name: str) -> bool:
        """Ask for a clip; False if no clip has this name."""
        if name not in self._names:
            return False
        self._requested.append(name)
        return True

    def take_next(self) -> str | None:
        """Return the name of the next clip; None after the last one."""
        if self._requested:
            name = self._requested.popleft()
            if name in self._pending:
                self._pending.remove(name)
            return name
        if not self._pending:
            self._start_repeat()
        return self._pending.popleft() if self._pending else None

    def _start_repeat(self) -> None:
        if self._order.repeats and self._n_repeats == self._order.repeats:
            return
        self._n_repeats += 1
        names = list(self._names)
        if self._order.is_random:
            self._rng.shuffle(names)
        self._pending.extend(names)
