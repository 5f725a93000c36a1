"""Deconvolution: estimate activity from dF/F, for calcium that rises at once (AR(1)).

Also chooses between this and `deconvolution_ar2`, for calcium that takes time to rise.
"""

from __future__ import annotations

from math import ceil, exp, log

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.types import Array
from rtrecon.imaging.traces import kernels
from rtrecon.imaging.traces.deconvolution_ar2 import Ar2Deconvolver

# More than any allowed lag; older pools do not change any more.
_MAX_POOLS = 32
_NEGLIGIBLE = 1e-7


class Ar1Deconvolver:
    """Least-squares AR(1) deconvolution with activity >= 0, frame by frame.

    Calcium decays by exp(-1 / (indicator_decay_s * rate_hz)) per frame; a jump above
    that is activity, in units of dF/F. Each frame revises the recent past: the activity
    of a frame is returned `deconvolution_lag_frames` later.

    Source: OASIS, Friedrich et al. 2017 (pool adjacent violators).
    """

    def __init__(self, n: int, rate_hz: float, settings: TracesSettings) -> None:
        decay_frames = settings.indicator_decay_s * rate_hz
        decay = exp(-1.0 / decay_frames)
        count = ceil(-log(_NEGLIGIBLE) * decay_frames)
        self._powers = (decay ** np.arange(count + 1)).astype(np.float32)
        self._lag = settings.deconvolution_lag_frames
        self._state: dict[str, Array] = {
            "pools": np.zeros((n, _MAX_POOLS, 3), np.float32),
            "newest": np.zeros(n, np.int64),
            "n_pools": np.zeros(n, np.int64),
            "missing": np.full(n, 2**32 - 1, np.uint32),
            "denoised": np.full(n, np.nan, np.float32),
        }

    @property
    def denoised_dff(self) -> Array:
        """(n,) float32: dF/F of the newest frame without its noise; a view."""
        return self._state["denoised"]

    def deconvolve_frame(self, dff: Array, out: Array) -> None:
        """Include one frame of dF/F, (n,) float32; fill out with activity, >= 0.

        out belongs to the frame `deconvolution_lag_frames` ago. It is NaN where that
        frame was NaN or lies before the first. A NaN counts as time without a value.
        """
        state = self._state
        kernels.deconvolve_ar1(
            dff,
            self._powers,
            self._lag,
            state["pools"],
            state["newest"],
            state["n_pools"],
            state["missing"],
            state["denoised"],
            out,
        )

    def get_state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {name: array.copy() for name, array in self._state.items()}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state of as many neurons, at the same rate."""
        for name, array in self._state.items():
            array[:] = state[name]


def make_deconvolver(
    n: int, rate_hz: float, settings: TracesSettings, rise_s: float | None = None
) -> Ar1Deconvolver | Ar2Deconvolver:
    """Return the deconvolution of n neurons: AR(2) if a rise time is given."""
    if rise_s is None:
        return Ar1Deconvolver(n, rate_hz, settings)
    return Ar2Deconvolver(n, rate_hz, settings, rise_s)
