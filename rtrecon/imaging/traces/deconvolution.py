"""Activity out of calcium: which jumps, each decaying, add up to this dF/F?"""

from __future__ import annotations

from math import ceil, exp, log

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.types import Array
from rtrecon.imaging.traces import kernels
from rtrecon.imaging.traces.deconvolution_ar2 import RisingDeconvolver

# Longer than any lag allowed; pools beyond it are final.
_POOLS = 32
_NEGLIGIBLE = 1e-7


class OnlineDeconvolver:
    """Least-squares AR(1) deconvolution under activity >= 0, frame by frame.

    Calcium decays by exp(-1 / (decay_s * rate_hz)) per frame; every jump up from that
    is activity, in units of dF/F. Each frame revises the recent past: the answer for
    a frame is given `deconvolve_lag_frames` later, at once by default.
    """

    def __init__(self, n: int, rate_hz: float, settings: TracesSettings) -> None:
        decay_frames = settings.decay_s * rate_hz
        decay = exp(-1.0 / decay_frames)
        count = ceil(-log(_NEGLIGIBLE) * decay_frames)
        self._powers = (decay ** np.arange(count + 1)).astype(np.float32)
        self._lag = settings.deconvolve_lag_frames
        self._state: dict[str, Array] = {
            "pools": np.zeros((n, _POOLS, 3), np.float32),
            "newest": np.zeros(n, np.int64),
            "held": np.zeros(n, np.int64),
            "missing": np.full(n, 2**32 - 1, np.uint32),
            "calcium": np.full(n, np.nan, np.float32),
        }

    @property
    def calcium(self) -> Array:
        """(n,) float32: dF/F of the newest frame without its noise; a view."""
        return self._state["calcium"]

    def update(self, dff: Array, out: Array) -> None:
        """Take one frame of dF/F, (n,) float32; fill out with the activity, >= 0.

        out belongs to the frame `deconvolve_lag_frames` ago and is NaN where that
        frame was NaN or is before the first. A NaN passes as time without a value.
        """
        state = self._state
        kernels.deconvolve(
            dff,
            self._powers,
            self._lag,
            state["pools"],
            state["newest"],
            state["held"],
            state["missing"],
            state["calcium"],
            out,
        )

    def state(self) -> dict[str, Array]:
        """Return a copy of what is remembered between frames."""
        return {name: array.copy() for name, array in self._state.items()}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state of as many neurons, at the same rate."""
        for name, array in self._state.items():
            array[:] = state[name]


def deconvolver(
    n: int, rate_hz: float, settings: TracesSettings, rise_s: float | None = None
) -> OnlineDeconvolver | RisingDeconvolver:
    """Return what tells activity from dF/F: AR(2) where calcium is known to rise."""
    if rise_s is None:
        return OnlineDeconvolver(n, rate_hz, settings)
    return RisingDeconvolver(n, rate_hz, settings, rise_s)
