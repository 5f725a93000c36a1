"""Integration with a leak: how calcium decays and how noise persists."""

from __future__ import annotations

import itertools

import numpy as np

from rtrecon.core.types import Array


def integrate_with_leak(drive: Array, persistence: float | Array) -> Array:
    """Return float64 y (T, n): y[t] = persistence * y[t - 1] + drive[t], from 0.

    persistence: of all columns, or (n,) of each.

    The same as `scipy.signal.lfilter`, whose import takes longer than that of all other
    modules of the simulation.
    """
    total = np.array(drive, np.float64)
    for before, now in itertools.pairwise(total):
        now += persistence * before
    return total
