"""Clock alignment: times of other programs on the microscope's clock.

A program that knows the microscope's clock sends times on it. A program that does not
sends times of its own clock, which are converted here: by the edges of a digital line
that both the microscope and the program have seen, or else by the wall clock of the
microscope's computer, which comes with every frame. Offset and drift are followed as
the session runs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from rtrecon.metrics.latency import LatencyHistogram
from rtrecon.protocol import messages

# Quartz clocks drift by 1e-4 at most; a wall clock being synchronized by up to this.
MAX_DRIFT = 5e-4
# Longest time between the arrival of two messages about the same edge.
MAX_EDGE_DELAY_S = 0.25
_BLOCK_S = 1.0
_MAX_BLOCKS = 64
_MAX_PAIRS = 64  # of a block that is not complete, and edges remembered
_MIN_DRIFT_SPAN_S = 8.0  # over a shorter time noise would be taken for drift
_MIN_BLOCKS = 8  # with fewer, the incomplete block counts as well
# Pairs that are off by so much, so many times in a row: the clock was set.
_JUMP_S, _JUMP_BLOCKS = 0.05, 3
_MAX_CLOCKS = 16
_MEDIAN_RANK, _LEAST_DELAYED_RANK = 0.5, 1.0


@dataclass(frozen=True)
class _Pair:
    """The same moment on both clocks. difference_s: reference minus remote."""

    remote_s: float
    difference_s: float


class ClockFit:
    """Converts a remote clock's times to the reference clock, from pairs of both.

    One pair of each second counts: the one of the given `rank` (0 to 1) when they are
    sorted by reference minus remote. 0.5 is the median pair; 1 is the least delayed
    pair, where the remote time is read late. A robust line through the newest minute
    of these pairs is followed, in fixed memory.
    """

    def __init__(self, rank: float = _MEDIAN_RANK) -> None:
        self._rank = rank
        self._open_block: list[_Pair] = []
        self._blocks: deque[_Pair] = deque(maxlen=_MAX_BLOCKS)
        self._origin_s = self._offset_s = self._drift = 0.0

    def add_pair(self, remote_s: float, reference_s: float) -> float | None:
        """Add a pair; return the error in s of the last second, if it is complete.

        The error is the difference between the second's pair and the prediction from
        the seconds before it. None while the second lasts, and after the first.
        """
        error_s = None
        if self._open_block and not self._is_in_open_block(remote_s):
            error_s = self._close_block()
        if len(self._open_block) < _MAX_PAIRS:
            self._open_block.append(_Pair(remote_s, reference_s - remote_s))
            if len(self._blocks) < _MIN_BLOCKS:
                self._fit_line([*self._blocks, self._select_pair()])
        return error_s

    def to_reference_time(self, remote_s: float) -> float | None:
        """Return the reference time at a remote time; None before the first pair."""
        if not self._open_block:
            return None
        return remote_s + self._predict(remote_s)

    def _is_in_open_block(self, remote_s: float) -> bool:
        return 0 <= remote_s - self._open_block[0].remote_s < _BLOCK_S

    def _close_block(self) -> float | None:
        """Replace the open block by its pair, and fit again; return its error."""
        selected = self._select_pair()
        error_s = self._error(selected)
        is_first = not self._blocks
        self._blocks.append(selected)
        self._open_block.clear()
        newest = list(self._blocks)[-_JUMP_BLOCKS:]
        has_jumped = all(abs(self._error(pair)) > _JUMP_S for pair in newest)
        if len(newest) == _JUMP_BLOCKS and has_jumped:
            self._blocks = deque(newest, _MAX_BLOCKS)
        self._fit_line(list(self._blocks))
        return None if is_first else abs(error_s)

    def _select_pair(self) -> _Pair:
        ranked = sorted(self._open_block, key=lambda pair: pair.difference_s)
        return ranked[int(self._rank * (len(ranked) - 1))]

    def _error(self, pair: _Pair) -> float:
        return pair.difference_s - self._predict(pair.remote_s)

    def _predict(self, remote_s: float) -> float:
        """Return reference minus remote at a remote time."""
        return self._offset_s + self._drift * (remote_s - self._origin_s)

    def _fit_line(self, pairs: list[_Pair]) -> None:
        """Fit the median slope, then the median offset: a third may be wrong."""
        self._origin_s = pairs[-1].remote_s
        x = np.array([pair.remote_s for pair in pairs]) - self._origin_s
        y = np.array([pair.difference_s for pair in pairs])
        self._drift = 0.0
        if np.ptp(x) >= _MIN_DRIFT_SPAN_S:
            first, second = np.triu_indices(len(x), 1)
            apart = x[second] - x[first] != 0
            slopes = (y[second] - y[first])[apart] / (x[second] - x[first])[apart]
            self._drift = float(np.clip(np.median(slopes), -MAX_DRIFT, MAX_DRIFT))
        self._offset_s = float(np.median(y - self._drift * x))


@dataclass(frozen=True)
class _Edge:
    """An edge as one program saw it, on its own clock, and when its message arrived.

    session: of the program; None: the microscope saw it.
    """

    line: int
    value: int
    time_s: float
    t_received_s: float
    session: str | None


class ClockRegistry:
    """The clocks of all programs in a session.

    error_histogram: errors in ms, each second, of the clocks that are in use. Two
    programs have seen the same edge if line and value are equal and neither reported
    another such edge within `MAX_EDGE_DELAY_S`.
    """

    def __init__(self) -> None:
        self.error_histogram = LatencyHistogram()
        self._wall_clock = ClockFit(_LEAST_DELAYED_RANK)
        self._program_clocks: dict[str, ClockFit] = {}
        self._edges: deque[_Edge] = deque(maxlen=_MAX_PAIRS)
        self._in_use: set[str | None] = set()  # sessions; None: the wall clock

    def add_frame(self, message: messages.Frame) -> None:
        """Learn about the wall clock from a frame's times."""
        self._record_error(None, self._wall_clock.add_pair(message.t_send, message.t))

    def add_sync_edge(self, message: messages.SyncEdge, t_received_s: float) -> None:
        """Add an edge; t_received_s: arrival of the message, on this machine's clock.

        An edge with a time `t` was seen by the microscope.
        """
        is_microscope = message.t is not None
        time_s = message.t_send if message.t is None else message.t
        session = None if is_microscope else message.session
        edge = _Edge(message.line, message.value, time_s, t_received_s, session)
        for other in self._find_matches(edge):
            microscope, remote = (edge, other) if is_microscope else (other, edge)
            assert remote.session is not None
            fit = self._program_clock(remote.session)
            error_s = fit.add_pair(remote.time_s, microscope.time_s)
            self._record_error(remote.session, error_s)
        self._edges.append(edge)

    def has_edges(self, session: str) -> bool:
        """Return whether this program's clock is known from edges of a line."""
        return session in self._program_clocks

    def to_microscope_time(self, session: str, t_send: float) -> float | None:
        """Return the microscope's time when a program's clock showed `t_send`.

        None before the first frame or edge from which that clock is known.
        """
        clock = self._program_clocks.get(session)
        self._in_use.add(session if clock else None)
        return (clock or self._wall_clock).to_reference_time(t_send)

    def _find_matches(self, edge: _Edge) -> list[_Edge]:
        """Return the same edge as others saw it.

        For a program's edge: as the microscope saw it; for the microscope's: as each
        program saw it. Ambiguous matches are left out.
        """
        candidates: dict[str | None, list[_Edge]] = {}
        for other in self._edges:
            is_equal = (other.line, other.value) == (edge.line, edge.value)
            delay_s = edge.t_received_s - other.t_received_s
            if is_equal and delay_s <= MAX_EDGE_DELAY_S:
                candidates.setdefault(other.session, []).append(other)
        opposite = [
            edges
            for session, edges in candidates.items()
            if (session is None) != (edge.session is None)
        ]
        return [edges[0] for edges in opposite if len(edges) == 1]

    def _program_clock(self, session: str) -> ClockFit:
        clocks = self._program_clocks
        if session not in clocks and len(clocks) >= _MAX_CLOCKS:
            del clocks[next(iter(clocks))]
        return clocks.setdefault(session, ClockFit())

    def _record_error(self, session: str | None, error_s: float | None) -> None:
        if error_s is not None and session in self._in_use:
            self.error_histogram.add_latency(error_s * 1e3)
