"""The density gate: above it nobody can tell whose neurite crosses which."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.dish.trace import Trace

# Pixels of neurites per pixel of the field: gate closes, and opens again.
_MAX_DENSITY, _REOPEN_DENSITY = 0.036, 0.030


class DensityGate:
    """Decides whether owners and touches are claimed; has a hysteresis."""

    notice = (
        "the culture is too dense to tell which neurite belongs to whom: only bodies, "
        "length per area and branching points are measured"
    )

    def __init__(self) -> None:
        self._is_dense = False

    def check(self, trace: Trace, is_valid: Array) -> bool:
        """Return whether a picture is too dense.

        is_valid: bool (lines, pixels), the field that counts.
        """
        n_pixels = int(trace.lines.sum() + trace.loose.sum())
        density = n_pixels / max(int(is_valid.sum()), 1)
        limit = _REOPEN_DENSITY if self._is_dense else _MAX_DENSITY
        self._is_dense = density > limit
        return self._is_dense

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        return {"is_dense": np.array(self._is_dense)}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state."""
        self._is_dense = bool(state["is_dense"])
