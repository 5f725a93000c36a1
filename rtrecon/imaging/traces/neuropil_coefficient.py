"""Neuropil coefficient: which share of the neuropil is in the cell; fixed or fitted."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array
from rtrecon.imaging.traces.noise import RunningNoise

# The prior of the coefficient, as mean and s.d.: the usual choice (Chen et al. 2013,
# Suite2p), and the variation between cells in what others have fitted.
_PRIOR_MEAN, _PRIOR_SD = 0.7, 0.2
_LEVEL_S = 20.0  # slower changes, such as bleaching, are not evidence
_MEMORY_S = 600.0
_MIN_LEVEL_FRAMES, _MIN_MEMORY_FRAMES = 10.0, 100.0  # of a slow microscope
_MIN_EVIDENCE_S = 10.0  # without transients, before the coefficient changes at all
# Time constants of the averages in which transients and slow rises are detected.
_FAST_S, _SLOW_S = 0.12, 0.33
_MAX_REST_SD = 3.0  # in s.d. of the noise that remains in those averages
_OVER_SD = 0.5  # in s.d. of a frame's noise: below this a transient counts as over
# In s.d. of a frame's noise: what transients too small to detect leave in the
# residual. However many the frames, neuropil that changes less is not evidence.
_UNDETECTED_SD = 0.05
_TRANSIENT_LEVEL_RATE = 0.1  # relative speed at which the level follows in transients


class FixedNeuropilCoefficient:
    """Subtracts the same given share of the neuropil from every cell."""

    def __init__(self, n: int, coefficient: float) -> None:
        self.coefficient = np.full(n, coefficient, np.float32)

    def subtract_neuropil(self, cell: Array, neuropil: Array, out: Array) -> None:
        """Fill out, (n,) float32, with cell - coefficient * neuropil.

        Where the neuropil is NaN: with cell. A cell that is NaN stays NaN.
        """
        subtract_fixed_fraction(cell, neuropil, self.coefficient, out)

    def get_state(self) -> dict[str, Array]:
        """Return nothing, because nothing is remembered."""
        return {}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue as before."""


class FittedNeuropilCoefficient:
    """Subtracts from each cell its own share of the neuropil, fitted as frames pass.

    The cell is regressed on its neuropil over frames without transients, over changes
    faster than 20 s and within the last 10 minutes. The neuropil's own noise would
    flatten the slope, so the frame before serves as instrumental variable. A ridge
    penalty acts as a normal prior of mean 0.7 and s.d. 0.2, given the variance and
    correlation time of the residual. coefficient: (n,) float32, 0..1, as it is now.

    Limit: transients hidden in noise, of cells that fire when the neuropil is bright,
    count as neuropil and make the coefficient too high.
    """

    def __init__(self, n: int, rate_hz: float, settings: TracesSettings) -> None:
        self.coefficient = np.full(n, _PRIOR_MEAN, np.float32)
        self._noise = RunningNoise(n, rate_hz)
        self._memory = np.zeros(n, _EVIDENCE)
        self._frames_per_update = max(1, round(rate_hz))
        self._rates = _compute_filter_rates(settings.indicator_decay_s, rate_hz)

    def subtract_neuropil(self, cell: Array, neuropil: Array, out: Array) -> None:
        """Learn from one frame; fill out with cell - coefficient * neuropil change.

        Arrays are (n,) float32, in counts. The change is relative to the first value of
        the neuropil, so that a changing coefficient does not move the level. Where the
        neuropil is NaN: the cell as it is. A cell that is NaN stays NaN.
        """
        self._noise.add_values(cell)
        fit_and_subtract(
            (cell, neuropil, self._noise.sd),
            self._rates,
            self._frames_per_update,
            self._memory,
            self.coefficient,
            out,
        )

    def get_state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        noise = self._noise.get_state()
        return {
            **{f"noise.{key}": array for key, array in noise.items()},
            "coefficient": self.coefficient.copy(),
            "evidence": self._memory.copy(),
        }

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state of as many neurons, at the same rate."""
        prefix = "noise."
        self._noise.restore_state(
            {k.removeprefix(prefix): v for k, v in state.items() if prefix in k}
        )
        self.coefficient[:] = state["coefficient"]
        self._memory[:] = state["evidence"]


def make_neuropil_coefficient(
    n: int, rate_hz: float, settings: TracesSettings
) -> FixedNeuropilCoefficient | FittedNeuropilCoefficient:
    """Return the neuropil subtraction of n cells that the settings ask for."""
    coefficient = settings.neuropil_coefficient
    if coefficient == "fitted":
        return FittedNeuropilCoefficient(n, rate_hz, settings)
    return FixedNeuropilCoefficient(n, coefficient)


class _FilterRates(NamedTuple):
    """Rates per frame, and limits of the averages in s.d. of a frame's noise.

    level, fast, slow: weight of a new value in the levels and in the two averages.
    memory: what remains of the evidence. decay: what remains of a transient.
    """

    level: float
    fast: float
    slow: float
    memory: float
    decay: float
    fast_limit: float
    slow_limit: float


def _compute_filter_rates(decay_s: float, rate_hz: float) -> _FilterRates:
    decay = math.exp(-1 / (decay_s * rate_hz))
    fast, slow = (-math.expm1(-1 / (s * rate_hz)) for s in (_FAST_S, _SLOW_S))
    # S.d. of white noise after its decay is subtracted and it is averaged.
    fast_sd = fast * math.hypot(1, (1 - fast - decay) / math.sqrt(fast * (2 - fast)))
    return _FilterRates(
        level=1 / max(_MIN_LEVEL_FRAMES, _LEVEL_S * rate_hz),
        fast=fast,
        slow=slow,
        memory=math.exp(-1 / max(_MIN_MEMORY_FRAMES, _MEMORY_S * rate_hz)),
        decay=decay,
        fast_limit=_MAX_REST_SD * fast_sd,
        slow_limit=_MAX_REST_SD * math.sqrt(slow / (2 - slow)),
    )


# What is known of a cell and its neuropil: number of values; first value of the
# neuropil; levels of both without transients; neuropil and residual of the frame
# before; fast average of the residual (without its decay) and slow average; size of
# the transient that is on. Then sums over frames without transients.
_EVIDENCE = np.dtype(
    [
        ("n_values", np.int64),
        ("first_neuropil", np.float32),
        ("cell_level", np.float32),
        ("neuropil_level", np.float32),
        ("last_neuropil", np.float32),
        ("last_residual", np.float32),
        ("fast", np.float32),
        ("slow", np.float32),
        ("transient", np.float32),
        ("n_frames", np.float64),
        ("cell_neuropil", np.float64),
        ("neuropil_neuropil", np.float64),
        ("residual_residual", np.float64),
    ]
)


@jit_kernel
def subtract_fixed_fraction(
    cell: Array, neuropil: Array, coefficient: Array, out: Array
) -> None:
    """Fill out with cell - coefficient * neuropil, or cell where neuropil is NaN."""
    for i in range(cell.size):
        is_missing = math.isnan(neuropil[i])
        out[i] = cell[i] - (0 if is_missing else coefficient[i] * neuropil[i])


@jit_kernel
def fit_and_subtract(
    traces: tuple[Array, Array, Array],
    rates: _FilterRates,
    frames_per_update: int,
    memory: Array,
    coefficient: Array,
    out: Array,
) -> None:
    """Update the regression of cell on neuropil by one frame; subtract the neuropil.

    traces: cells, neuropil, s.d. of the cells' noise; (n,) each. memory: `_EVIDENCE`.
    The coefficient is renewed every so many frames, about once a second.
    """
    cell, neuropil, sd = traces
    for i in range(cell.size):
        record = memory[i]
        out[i] = cell[i]
        if math.isnan(cell[i]) or math.isnan(neuropil[i]):
            continue
        record.n_values += 1
        if record.n_values == 1:
            record.first_neuropil = record.neuropil_level = neuropil[i]
            record.cell_level = cell[i]
        out[i] -= coefficient[i] * (neuropil[i] - record.first_neuropil)
        if not sd[i] > 0:
            continue
        neuropil_change = neuropil[i] - record.neuropil_level
        cell_change = cell[i] - record.cell_level
        residual = cell_change - coefficient[i] * neuropil_change
        record.fast += rates.fast * (
            residual - rates.decay * record.last_residual - record.fast
        )
        record.slow += rates.slow * (residual - record.slow)
        record.transient *= rates.decay
        limit = rates.slow_limit * sd[i]
        fires = record.fast > rates.fast_limit * sd[i]
        if fires:
            record.transient = max(record.transient, record.slow)
        is_over = record.transient < _OVER_SD * sd[i]
        is_at_rest = not fires and is_over and record.slow < limit
        if is_at_rest:
            last = record.last_neuropil
            record.n_frames = rates.memory * record.n_frames + 1
            record.cell_neuropil = rates.memory * record.cell_neuropil + (
                cell_change * last
            )
            record.neuropil_neuropil = rates.memory * record.neuropil_neuropil + (
                neuropil_change * last
            )
            record.residual_residual = (
                rates.memory * record.residual_residual + record.slow**2
            )
        step = max(rates.level, 1 / record.n_values)
        bounded = min(max(record.slow, -limit), limit)
        bounded *= 1 if is_at_rest else _TRANSIENT_LEVEL_RATE
        record.cell_level += step * (coefficient[i] * neuropil_change + bounded)
        record.neuropil_level += step * neuropil_change
        record.last_neuropil, record.last_residual = neuropil_change, residual
        is_due = record.n_values % frames_per_update == 0
        if is_due and record.n_frames >= _MIN_EVIDENCE_S * frames_per_update:
            # Variance of the residual, times its correlation time.
            variance = 2 / rates.slow * record.residual_residual / record.n_frames
            variance += record.n_frames * (_UNDETECTED_SD * sd[i]) ** 2
            coefficient[i] = _fit_slope(
                record.cell_neuropil, record.neuropil_neuropil, variance
            )


@jit_kernel
def _fit_slope(
    cell_neuropil: float, neuropil_neuropil: float, residual_variance: float
) -> float:
    """Return the slope of cell on neuropil, 0..1, with a normal prior."""
    ridge = residual_variance / _PRIOR_SD**2
    slope = (cell_neuropil + ridge * _PRIOR_MEAN) / (
        max(neuropil_neuropil, 0.0) + ridge
    )
    bounded: float = min(max(slope, 0.0), 1.0)
    return bounded
