"""Baseline and dF/F: what a neuron's trace is at rest, and its relative change."""

from __future__ import annotations

from math import ceil, exp

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.types import Array
from rtrecon.imaging.traces import kernels
from rtrecon.imaging.traces.neuropil_coefficient import (
    FittedNeuropilCoefficient,
    FixedNeuropilCoefficient,
    make_neuropil_coefficient,
)

# The divisor of dF/F is at least this many counts, and at least this fraction of its
# mean over all neurons, so that dF/F of dark neurons stays finite.
MIN_BASELINE_COUNTS, MIN_BASELINE_FRACTION = 1.0, 0.1
_BLOCK_S = 1.0  # one frame of a slower microscope


class RunningBaseline:
    """Minimum of each smoothed trace over the last `baseline_window_s`; causal.

    The window moves in blocks of 1 s (of one frame, at less than 1 Hz), so that the
    cost of a frame does not depend on the window. During the first `baseline_smooth_s`
    the baseline is the mean so far.
    """

    def __init__(self, n: int, rate_hz: float, settings: TracesSettings) -> None:
        block_s = max(_BLOCK_S, 1.0 / rate_hz)
        blocks = max(1, ceil(settings.baseline_window_s / block_s))
        self._rate = 1.0 - exp(-1.0 / (settings.baseline_smooth_s * rate_hz))
        self._block_frames = max(1, round(block_s * rate_hz))
        self._state: dict[str, Array] = {
            "position": np.zeros(1, np.int64),
            "smooth": np.zeros(n, np.float32),
            "n_values": np.zeros(n, np.int64),
            "minima": np.full((blocks, n), np.inf, np.float32),
            "lowest": np.full(n, np.inf, np.float32),
        }

    def update_baseline(self, values: Array, out: Array) -> None:
        """Include one frame of values, (n,) float32, and fill out with the baselines.

        A NaN gives NaN, and leaves that neuron's baseline as it was.
        """
        state = self._state
        position, minima = state["position"], state["minima"]
        block, frame = divmod(int(position[0]), self._block_frames)
        newest = minima[block % len(minima)]
        if frame == 0:
            newest[:] = np.inf
            np.min(minima, axis=0, out=state["lowest"])
        kernels.update_baseline(
            values,
            self._rate,
            state["smooth"],
            state["n_values"],
            newest,
            state["lowest"],
            out,
        )
        position += 1

    def get_state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {name: array.copy() for name, array in self._state.items()}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state of as many neurons, at the same rate."""
        for name, array in self._state.items():
            array[:] = state[name]


class DffCalculator:
    """Computes dF/F from cells and neuropil.

    dF/F = (Fc - baseline(Fc)) / max(baseline(F) - offset, least), with
    Fc = F - coefficient * neuropil.

    The divisor is the baseline of the raw cell, which no subtraction brings near zero.
    least: 1 count, or a tenth of the mean divisor of all cells; it keeps an offset that
    is too high from making dim cells large. detector_offset_counts: what the detector
    reads without light, 0 if the microscope has subtracted it; see
    `detector_offset.estimate_detector_offset`. A cell without neuropil mask is not
    corrected.
    """

    def __init__(
        self,
        n: int,
        rate_hz: float,
        settings: TracesSettings,
        detector_offset_counts: float = 0.0,
    ) -> None:
        self._offset_counts = detector_offset_counts
        self._coefficient = make_neuropil_coefficient(n, rate_hz, settings)
        self._raw_baseline = RunningBaseline(n, rate_hz, settings)
        self._corrected_baseline = RunningBaseline(n, rate_hz, settings)
        self._rest = np.empty(n, np.float32)
        self._scale = np.empty(n, np.float32)

    @property
    def neuropil_coefficient(self) -> Array:
        """(n,) float32: share of the neuropil that is subtracted now; a view."""
        return self._coefficient.coefficient

    def compute_dff(self, cell: Array, neuropil: Array, out: Array) -> None:
        """Include one frame of cells and neuropil, (n,) float32; fill out with dF/F.

        A neuron whose cell is NaN gives NaN, and recovers with its next value.
        """
        self._coefficient.subtract_neuropil(cell, neuropil, out)
        self._raw_baseline.update_baseline(cell, self._scale)
        self._corrected_baseline.update_baseline(out, self._rest)
        least = MIN_BASELINE_COUNTS, MIN_BASELINE_FRACTION
        kernels.compute_dff(self._rest, self._scale, self._offset_counts, least, out)

    def get_state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {
            f"{name}.{key}": array
            for name, part in self._stateful_parts().items()
            for key, array in part.get_state().items()
        }

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state of as many neurons, at the same rate."""
        for name, part in self._stateful_parts().items():
            prefix = f"{name}."
            selected = {k: v for k, v in state.items() if k.startswith(prefix)}
            part.restore_state({k.removeprefix(prefix): selected[k] for k in selected})

    def _stateful_parts(
        self,
    ) -> dict[
        str, RunningBaseline | FixedNeuropilCoefficient | FittedNeuropilCoefficient
    ]:
        return {
            "raw_baseline": self._raw_baseline,
            "corrected_baseline": self._corrected_baseline,
            "neuropil_coefficient": self._coefficient,
        }
