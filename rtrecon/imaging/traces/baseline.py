"""What a neuron's trace would be at rest, and its relative change from there."""

from __future__ import annotations

from math import ceil, exp

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.types import Array
from rtrecon.imaging.traces import kernels
from rtrecon.imaging.traces.neuropil_coefficient import FittedShare, ToldShare, share_of

# Dark neurons are divided by no less than this (counts), or this share of what others
# are divided by: their dF/F stays finite.
SMALLEST_BASELINE, SMALLEST_SHARE = 1.0, 0.1
_BLOCK_S = 1.0


class RunningBaseline:
    """Minimum, over the last `baseline_window_s`, of each smoothed trace; causal.

    The window moves in blocks of 1 s, so that a frame costs the same whatever the
    window. For the first `baseline_smooth_s` the baseline is the mean so far.
    """

    def __init__(self, n: int, rate_hz: float, settings: TracesSettings) -> None:
        blocks = max(1, ceil(settings.baseline_window_s / _BLOCK_S))
        self._rate = 1.0 - exp(-1.0 / (settings.baseline_smooth_s * rate_hz))
        self._block_frames = max(1, round(_BLOCK_S * rate_hz))
        self._state: dict[str, Array] = {
            "position": np.zeros(1, np.int64),
            "smooth": np.zeros(n, np.float32),
            "seen": np.zeros(n, np.int64),
            "minima": np.full((blocks, n), np.inf, np.float32),
            "lowest": np.full(n, np.inf, np.float32),
        }

    def update(self, values: Array, out: Array) -> None:
        """Take one frame of values, (n,) float32, and fill out with the baselines.

        NaN in, NaN out, and that neuron's baseline goes on unharmed.
        """
        state = self._state
        position, minima = state["position"], state["minima"]
        block, frame = divmod(int(position[0]), self._block_frames)
        newest = minima[block % len(minima)]
        if frame == 0:
            newest[:] = np.inf
            np.min(minima, axis=0, out=state["lowest"])
        kernels.running_baseline(
            values,
            self._rate,
            state["smooth"],
            state["seen"],
            newest,
            state["lowest"],
            out,
        )
        position += 1

    def state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {name: array.copy() for name, array in self._state.items()}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state of as many neurons, at the same rate."""
        for name, array in self._state.items():
            array[:] = state[name]


class RelativeChange:
    """dF/F, after the neuropil is taken off.

    (Fc - baseline(Fc)) / max(baseline(F) - offset, least), with Fc = F - coefficient *
    neuropil. The denominator is the raw cell's baseline, which no subtraction can bring
    near zero; least: 1 count, or a tenth of what it is for all cells on average, which
    an offset that is too high cannot bring it under. offset: what the detector reads in
    the dark (counts), 0 if the microscope has taken it off; `dark.find_dark` tells it.
    A cell without annulus goes uncorrected.
    """

    def __init__(
        self, n: int, rate_hz: float, settings: TracesSettings, offset: float = 0.0
    ) -> None:
        self._offset = offset
        self._share = share_of(n, rate_hz, settings)
        self._raw = RunningBaseline(n, rate_hz, settings)
        self._corrected = RunningBaseline(n, rate_hz, settings)
        self._rest = np.empty(n, np.float32)
        self._scale = np.empty(n, np.float32)

    @property
    def coefficient(self) -> Array:
        """(n,) float32: share of the neuropil that is taken off now; a view."""
        return self._share.coefficient

    def update(self, cell: Array, neuropil: Array, out: Array) -> None:
        """Take one frame of cells and neuropil, (n,) float32 each; fill out with dF/F.

        A neuron whose cell is NaN yields NaN, and recovers with its next value.
        """
        self._share.take_off(cell, neuropil, out)
        self._raw.update(cell, self._scale)
        self._corrected.update(out, self._rest)
        least = SMALLEST_BASELINE, SMALLEST_SHARE
        kernels.relative_change(self._rest, self._scale, self._offset, least, out)

    def state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {
            f"{name}.{key}": array
            for name, part in self._parts().items()
            for key, array in part.state().items()
        }

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state of as many neurons, at the same rate."""
        for name, part in self._parts().items():
            start = f"{name}."
            own = {k: v for k, v in state.items() if k.startswith(start)}
            part.restore({k.removeprefix(start): v for k, v in own.items()})

    def _parts(self) -> dict[str, RunningBaseline | ToldShare | FittedShare]:
        return {"raw": self._raw, "corrected": self._corrected, "share": self._share}
