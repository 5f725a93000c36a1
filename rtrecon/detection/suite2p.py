"""Suite2p's detector on our registered bins, where it is installed."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.detection.registered_movie import Steady
from rtrecon.rois.roi_set import RoiSet, from_pixels

_BIN_S = 1.0  # its own default: one time constant of the indicator


def detect(steady: Steady, diameter_px: float, rate_hz: float | None) -> RoiSet:
    """Return the masks that Suite2p (1.1 or later) finds, in its order, ids 0..n-1.

    Its classifier is not asked: it was trained on traces, which there are none of yet.
    Raises UserError where it is not installed, finds nothing, or nobody knows the rate.
    """
    if rate_hz is None:
        raise UserError(
            "Suite2p must know the frame rate, and the recording does not say it; use "
            "the built-in detector (method builtin), or run Suite2p by itself"
        )
    suite2p, torch = _loaded()
    movie = _averaged(steady.bins, rate_hz * len(steady.bins) / steady.n_trusted)
    try:
        _, found, _ = suite2p.detection_wrapper(
            movie, mov=movie, diameter=[diameter_px] * 2, device=torch.device("cpu")
        )
    except ValueError as error:
        raise UserError(f"Suite2p gave up: {error}") from None
    pixels = [(cell["ypix"], cell["xpix"], cell["lam"]) for cell in found]
    shape = (steady.mean.shape[0], steady.mean.shape[1])
    return from_pixels(np.arange(len(pixels)), shape, pixels)


def _loaded() -> tuple[Any, Any]:
    try:
        import suite2p
        import torch
    except (ImportError, RuntimeError) as error:  # the latter: not of one torch
        raise UserError(
            f"Suite2p does not load ({error}); install it (pip install suite2p, which "
            "brings several gigabytes and may replace torch), or use the built-in "
            "detector (method builtin)"
        ) from None
    return suite2p, torch


def _averaged(bins: Array, bins_per_s: float) -> Array:
    """Average neighbouring bins until each lasts about a second."""
    together = max(1, round(_BIN_S * bins_per_s))
    kept = len(bins) // together * together
    grouped = bins[:kept].reshape(-1, together, *bins.shape[1:])
    return np.asarray(grouped.mean(1), np.float32)
