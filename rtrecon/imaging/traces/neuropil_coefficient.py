"""How much of the ring's signal is in the cell's: told beforehand, or fitted."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.numba_jit import kernel
from rtrecon.core.types import Array
from rtrecon.imaging.traces.noise import RunningNoise

Coefficient = float | Literal["fitted"]

# Where evidence is little the coefficient is this, give or take that: the usual choice
# (Chen et al. 2013, Suite2p), and how much what others fitted varies between cells.
_USUAL, _USUAL_SD = 0.7, 0.2
_LEVEL_S = 20.0  # slower changes, bleaching among them, are no evidence
_MEMORY_S = 600.0
_LEAST_S = 10.0  # without transients, before the share moves at all
_BRIEF_S, _SLOW_S = 0.12, 0.33  # averages that transients, slow rises are seen in
_STANDING_OUT = 3.0  # s.d. of what noise is left in those averages
_OVER = 0.5  # s.d. of a frame's noise: below this a transient is taken for over
# s.d. of a frame's noise: what transients too small to see leave in all that is left.
# However many the frames, neuropil that changes less than that tells nothing.
_UNSEEN = 0.05
_CREEP = 0.1  # of its usual pace: a level taken too low must not stay so


class ToldShare:
    """Takes the same share of the ring, which was told, off every cell."""

    def __init__(self, n: int, coefficient: float) -> None:
        self.coefficient = np.full(n, coefficient, np.float32)

    def take_off(self, cell: Array, ring: Array, out: Array) -> None:
        """Fill out, (n,) float32, with cell - coefficient * ring; no ring: with cell.

        A cell that is NaN stays so.
        """
        take_share_off(cell, ring, self.coefficient, out)

    def state(self) -> dict[str, Array]:
        """Return nothing: nothing is remembered."""
        return {}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on as before."""


class FittedShare:
    """Takes off each cell its own share of the ring, learnt as frames pass.

    Regression of cell on ring over frames without transients, of changes faster than
    20 s and since 10 minutes. The ring's own noise is kept from flattening the slope
    by asking the frame before (an instrumental variable). A ridge pulls towards 0.7 as
    a normal prior of s.d. 0.2 would, for noise of the correlation that is found.
    coefficient: (n,) float32, 0..1, as it is now.

    Its blind spot: transients lost in noise, of cells that fire when the neuropil is
    bright, count as neuropil and make the coefficient too high.
    """

    def __init__(self, n: int, rate_hz: float, settings: TracesSettings) -> None:
        self.coefficient = np.full(n, _USUAL, np.float32)
        self._noise = RunningNoise(n, rate_hz)
        self._memory = np.zeros(n, _EVIDENCE)
        self._every = max(1, round(rate_hz))
        self._pace = _pace(settings.decay_s, rate_hz)

    def take_off(self, cell: Array, ring: Array, out: Array) -> None:
        """Learn of one frame, and fill out with cell - coefficient * change of ring.

        Arrays are (n,) float32, in counts. The change is since the ring was first seen,
        so that a coefficient on the move does not move the level. No ring: the cell
        as it is. A cell that is NaN stays so.
        """
        self._noise.update(cell)
        traces = cell, ring, self._noise.sd
        learn_share(
            traces, self._pace, self._every, self._memory, self.coefficient, out
        )

    def state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        noise = {f"noise.{key}": array for key, array in self._noise.state().items()}
        own = {"coefficient": self.coefficient.copy(), "evidence": self._memory.copy()}
        return noise | own

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state of as many neurons, at the same rate."""
        prefix = "noise."
        self._noise.restore(
            {k.removeprefix(prefix): v for k, v in state.items() if prefix in k}
        )
        self.coefficient[:] = state["coefficient"]
        self._memory[:] = state["evidence"]


def share_of(
    n: int, rate_hz: float, settings: TracesSettings
) -> ToldShare | FittedShare:
    """Return what takes the neuropil off n cells, as the settings ask."""
    told = _told(settings.neuropil_coefficient)
    return FittedShare(n, rate_hz, settings) if told is None else ToldShare(n, told)


def _told(coefficient: Coefficient) -> float | None:
    return None if isinstance(coefficient, str) else coefficient


class _Pace(NamedTuple):
    """Per frame: share of a new value in levels, in a brief and in a slow average;

    what is left of evidence, and of a transient. Limits of the averages in s.d. of a
    frame's noise.
    """

    level: float
    brief: float
    slow: float
    kept: float
    decay: float
    brief_limit: float
    slow_limit: float


def _pace(decay_s: float, rate_hz: float) -> _Pace:
    decay = math.exp(-1 / (decay_s * rate_hz))
    brief, slow = (-math.expm1(-1 / (s * rate_hz)) for s in (_BRIEF_S, _SLOW_S))
    # White noise, once its decay is taken off and it is averaged.
    left_brief = brief * math.hypot(
        1, (1 - brief - decay) / math.sqrt(brief * (2 - brief))
    )
    return _Pace(
        level=1 / (_LEVEL_S * rate_hz),
        brief=brief,
        slow=slow,
        kept=math.exp(-1 / (_MEMORY_S * rate_hz)),
        decay=decay,
        brief_limit=_STANDING_OUT * left_brief,
        slow_limit=_STANDING_OUT * math.sqrt(slow / (2 - slow)),
    )


# What is known of a cell and its ring: frames seen; the ring's first value; levels of
# both without transients; the frame before; what the ring leaves unexplained, averaged
# briefly (less its decay) and slowly; transient now. Sums over frames without one.
_EVIDENCE = np.dtype(
    [
        ("seen", np.int64),
        ("first", np.float32),
        ("cell", np.float32),
        ("ring", np.float32),
        ("last_ring", np.float32),
        ("last_rest", np.float32),
        ("brief", np.float32),
        ("slow", np.float32),
        ("transient", np.float32),
        ("frames", np.float64),
        ("cell_ring", np.float64),
        ("ring_ring", np.float64),
        ("rest_rest", np.float64),
    ]
)


@kernel
def take_share_off(cell: Array, ring: Array, share: Array, out: Array) -> None:
    """Fill out with cell - share * ring, or cell where the ring is NaN."""
    for i in range(cell.size):
        out[i] = cell[i] - (0 if math.isnan(ring[i]) else share[i] * ring[i])


@kernel
def learn_share(
    traces: tuple[Array, Array, Array],
    pace: _Pace,
    every: int,
    memory: Array,
    share: Array,
    out: Array,
) -> None:
    """One frame of robust regression of cell on ring, and of taking the ring off.

    traces: cells, rings, s.d. of the cells' noise; (n,) each. memory: `_EVIDENCE`. The
    share is told anew every so many frames, which are a second.
    """
    cell, ring, sd = traces
    for i in range(cell.size):
        own = memory[i]
        out[i] = cell[i]
        if math.isnan(cell[i]) or math.isnan(ring[i]):
            continue
        own.seen += 1
        if own.seen == 1:
            own.first = own.ring = ring[i]
            own.cell = cell[i]
        out[i] -= share[i] * (ring[i] - own.first)
        if not sd[i] > 0:
            continue
        around = ring[i] - own.ring
        above = cell[i] - own.cell
        rest = above - share[i] * around
        own.brief += pace.brief * (rest - pace.decay * own.last_rest - own.brief)
        own.slow += pace.slow * (rest - own.slow)
        own.transient *= pace.decay
        limit = pace.slow_limit * sd[i]
        fires = own.brief > pace.brief_limit * sd[i]
        if fires:
            own.transient = max(own.transient, own.slow)
        calm = not fires and own.transient < _OVER * sd[i] and own.slow < limit
        if calm:
            own.frames = pace.kept * own.frames + 1
            own.cell_ring = pace.kept * own.cell_ring + above * own.last_ring
            own.ring_ring = pace.kept * own.ring_ring + around * own.last_ring
            own.rest_rest = pace.kept * own.rest_rest + own.slow**2
        step = max(pace.level, 1 / own.seen)
        bounded = min(max(own.slow, -limit), limit) * (1 if calm else _CREEP)
        own.cell += step * (share[i] * around + bounded)
        own.ring += step * around
        own.last_ring, own.last_rest = around, rest
        if own.seen % every == 0 and own.frames >= _LEAST_S * every:
            # Variance of what is unexplained, for as long as it lasts.
            doubt = 2 / pace.slow * own.rest_rest / own.frames
            doubt += own.frames * (_UNSEEN * sd[i]) ** 2
            share[i] = _slope(own.cell_ring, own.ring_ring, doubt)


@kernel
def _slope(cell_ring: float, ring_ring: float, doubt: float) -> float:
    """Slope of cell on ring, 0..1, drawn to the usual one by a normal prior."""
    ridge = doubt / _USUAL_SD**2
    slope = (cell_ring + ridge * _USUAL) / (max(ring_ring, 0.0) + ridge)
    bounded: float = min(max(slope, 0.0), 1.0)
    return bounded
