"""Runs Suite2p's detector on the registered bins, if Suite2p is installed."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.detection.registered_movie import RegisteredMovie
from rtrecon.rois.roi_set import RoiSet, build_roi_set

_BIN_S = 1.0  # Suite2p's default: one time constant of the indicator


def detect_neurons(
    movie: RegisteredMovie, diameter_px: float, rate_hz: float | None
) -> RoiSet:
    """Return the masks that Suite2p (1.1 or later) finds, in its order, ids 0..n-1.

    Suite2p's classifier is not used: it was trained on traces, and there are none yet.
    Raises UserError if Suite2p is not installed or finds nothing, or rate_hz is None.
    """
    if rate_hz is None:
        raise UserError(
            "Suite2p needs the frame rate, and the recording does not store it; give "
            "--rate-hz, or use the built-in detector (method builtin)"
        )
    suite2p, torch = _import_suite2p()
    bin_rate_hz = rate_hz * len(movie.bins) / movie.n_accepted
    averaged = _average_bins(movie.bins, bin_rate_hz)
    try:
        _, found, _ = suite2p.detection_wrapper(
            averaged,
            mov=averaged,
            diameter=[diameter_px] * 2,
            device=torch.device("cpu"),
        )
    except ValueError as error:
        raise UserError(f"Suite2p found no neurons: {error}") from None
    pixels = [(cell["ypix"], cell["xpix"], cell["lam"]) for cell in found]
    shape = (movie.mean.shape[0], movie.mean.shape[1])
    return build_roi_set(np.arange(len(pixels)), shape, pixels)


def _import_suite2p() -> tuple[Any, Any]:
    try:
        import suite2p
        import torch
    except (
        ImportError,
        RuntimeError,
    ) as error:  # RuntimeError: built for another torch
        raise UserError(
            f"Suite2p cannot be loaded ({error}); install it (pip install suite2p, "
            "which needs several gigabytes and may replace torch), or use the built-in "
            "detector (method builtin)"
        ) from None
    return suite2p, torch


def _average_bins(bins: Array, bin_rate_hz: float) -> Array:
    """Average neighbouring bins until each lasts about a second."""
    n_averaged = max(1, round(_BIN_S * bin_rate_hz))
    n_used = len(bins) // n_averaged * n_averaged
    grouped = bins[:n_used].reshape(-1, n_averaged, *bins.shape[1:])
    return np.asarray(grouped.mean(1), np.float32)
