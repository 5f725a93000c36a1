"""Other clocks on the microscope's: offset and drift, followed as the session runs.

Whoever knows the microscope's clock says its time. Whoever does not says its own: it is
put on the microscope's by the edges of a digital line that both have seen, or else by
the wall clock of the microscope's computer, which comes with every frame.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from rtrecon.metrics.latency import LatencyHistogram
from rtrecon.protocol import messages

MAX_DRIFT = 5e-4  # quartz keeps to 1e-4; a wall clock that is being set right to this
TOGETHER_S = 0.25  # the most between two messages of one edge, as they come in
_BLOCK_S = 1.0
_MOST_BLOCKS = 64
_MOST_PAIRS = 64  # kept of a block that is not over
_DRIFT_AFTER_S = 8.0  # before, noise would be taken for drift
_FEW_BLOCKS = 8  # with so few, the one that is not over counts too
_JUMP_S, _JUMP_BLOCKS = 0.05, 3  # off by so much, so often: the clock was set
_MOST_CLOCKS = 16
_MIDDLE, _LEAST_DELAYED = 0.5, 1.0


@dataclass(frozen=True)
class _Pair:
    theirs_s: float
    ahead_s: float  # ours - theirs


class ClockFit:
    """Tells what our clock showed when another showed a time, from pairs of both.

    Of each second one pair counts: that of the given `rank`, 0..1, in how far ours was
    ahead. 0.5 is the middle one; 1 the one that was least delayed, where theirs is
    read late. A robust line through the newest minute of them is followed; fixed
    memory.
    """

    def __init__(self, rank: float = _MIDDLE) -> None:
        self._rank = rank
        self._open: list[_Pair] = []
        self._blocks: deque[_Pair] = deque(maxlen=_MOST_BLOCKS)
        self._at_s = self._offset_s = self._drift = 0.0

    def add(self, theirs_s: float, ours_s: float) -> float | None:
        """Take a pair; returns how far off in s a second that is now over was found.

        That is its pair against what the seconds before it led to expect; None while
        the second lasts, and after the first.
        """
        off_s = None
        if self._open and not 0 <= theirs_s - self._open[0].theirs_s < _BLOCK_S:
            off_s = self._close()
        if len(self._open) < _MOST_PAIRS:
            self._open.append(_Pair(theirs_s, ours_s - theirs_s))
            if len(self._blocks) < _FEW_BLOCKS:
                self._fit([*self._blocks, self._chosen()])
        return off_s

    def ours(self, theirs_s: float) -> float | None:
        """Return our time at theirs; None before the first pair."""
        if not self._open:
            return None
        return theirs_s + self._ahead_s(theirs_s)

    def _close(self) -> float | None:
        chosen = self._chosen()
        off_s = chosen.ahead_s - self._ahead_s(chosen.theirs_s)
        known = len(self._blocks) > 0
        self._blocks.append(chosen)
        self._open.clear()
        newest = list(self._blocks)[-_JUMP_BLOCKS:]
        far = [abs(b.ahead_s - self._ahead_s(b.theirs_s)) > _JUMP_S for b in newest]
        if len(newest) == _JUMP_BLOCKS and all(far):
            self._blocks = deque(newest, _MOST_BLOCKS)
        self._fit(list(self._blocks))
        return abs(off_s) if known else None

    def _chosen(self) -> _Pair:
        ranked = sorted(self._open, key=lambda pair: pair.ahead_s)
        return ranked[int(self._rank * (len(ranked) - 1))]

    def _ahead_s(self, theirs_s: float) -> float:
        return self._offset_s + self._drift * (theirs_s - self._at_s)

    def _fit(self, pairs: list[_Pair]) -> None:
        """Median of slopes, then of offsets: a third of the pairs may be wrong."""
        self._at_s = pairs[-1].theirs_s
        x = np.array([pair.theirs_s for pair in pairs]) - self._at_s
        y = np.array([pair.ahead_s for pair in pairs])
        self._drift = 0.0
        if np.ptp(x) >= _DRIFT_AFTER_S:
            first, second = np.triu_indices(len(x), 1)
            apart = x[second] - x[first] != 0
            slopes = (y[second] - y[first])[apart] / (x[second] - x[first])[apart]
            self._drift = float(np.clip(np.median(slopes), -MAX_DRIFT, MAX_DRIFT))
        self._offset_s = float(np.median(y - self._drift * x))


@dataclass(frozen=True)
class _Edge:
    """An edge as one program saw it, on the clock of its own, and when it was told."""

    line: int
    value: int
    time_s: float
    told_s: float
    session: str | None  # of the program; None: the microscope saw it


class Clocks:
    """All clocks of a session. `error`: how far off those in use were, each second.

    Two programs have seen the same edge where line and value are the same, and no other
    edge of these was told within `TOGETHER_S`.
    """

    def __init__(self) -> None:
        self.error = LatencyHistogram()
        self._wall = ClockFit(_LEAST_DELAYED)
        self._own: dict[str, ClockFit] = {}
        self._edges: deque[_Edge] = deque(maxlen=_MOST_PAIRS)
        self._asked: set[str | None] = set()  # whose clocks were asked; None: the wall

    def frame(self, message: messages.Frame) -> None:
        """Take what a frame says of the wall clock."""
        self._count(None, self._wall.add(message.t_send, message.t))

    def sync(self, message: messages.Sync, told_s: float) -> None:
        """Take an edge; told_s: when the message came, on the clock of this machine."""
        ours = message.t is not None
        time_s = message.t_send if message.t is None else message.t
        session = None if ours else message.session
        edge = _Edge(message.line, message.value, time_s, told_s, session)
        for other in self._same(edge):
            mine, theirs = (edge, other) if ours else (other, edge)
            assert theirs.session is not None
            fit = self._clock_of(theirs.session)
            self._count(theirs.session, fit.add(theirs.time_s, mine.time_s))
        self._edges.append(edge)

    def ours(self, session: str, t_send: float) -> float | None:
        """Return the microscope's time when a program's clock showed `t_send`.

        None before the first frame, or edge, has told of that clock.
        """
        own = self._own.get(session)
        self._asked.add(session if own else None)
        return (own or self._wall).ours(t_send)

    def _same(self, edge: _Edge) -> list[_Edge]:
        """Return the edge as others saw it: the microscope, or all but it."""
        told: dict[str | None, list[_Edge]] = {}
        for other in self._edges:
            alike = (other.line, other.value) == (edge.line, edge.value)
            if alike and edge.told_s - other.told_s <= TOGETHER_S:
                told.setdefault(other.session, []).append(other)
        wanted = [
            edges
            for session, edges in told.items()
            if (session is None) != (edge.session is None)
        ]
        return [edges[0] for edges in wanted if len(edges) == 1]

    def _clock_of(self, session: str) -> ClockFit:
        if session not in self._own and len(self._own) >= _MOST_CLOCKS:
            del self._own[next(iter(self._own))]
        return self._own.setdefault(session, ClockFit())

    def _count(self, session: str | None, off_s: float | None) -> None:
        if off_s is not None and session in self._asked:
            self.error.add(off_s * 1e3)
