"""What changes in a field: neither tissue nor drift, in units of noise."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter, uniform_filter1d

from rtrecon.core.types import Array
from rtrecon.detection.registered_movie import Report

# Slower than any transient, faster than bleaching or a focus that drifts.
_DRIFT_BINS = 61
_STRIP_LINES = 16


def to_activity(bins: Array, tissue_px: int, report: Report) -> Array:
    """Turn bins (n, lines, pixels) into activity, in place; return their noise.

    The mean of a square of `tissue_px` around each pixel is taken off, then what is
    slow; the rest is divided by its noise, (lines, pixels) in counts.
    """
    for index, image in enumerate(bins):
        image -= uniform_filter(image, tissue_px)
        _tell(report, "filtering", index, len(bins))
    noise = np.empty(bins.shape[1:], np.float32)
    for top in range(0, bins.shape[1], _STRIP_LINES):  # a copy of all is too large
        strip = bins[:, top : top + _STRIP_LINES]
        strip -= uniform_filter1d(strip, _DRIFT_BINS, axis=0)
        sd = np.sqrt(np.square(np.diff(strip, axis=0)).mean(0) / 2)
        strip /= np.maximum(sd, 1e-6)
        noise[top : top + _STRIP_LINES] = sd
    return noise


def shared_with_neighbours(activity: Array, sigma_px: float, report: Report) -> Array:
    """Return (lines, pixels): root of the covariance of neighbours; noise is about 1.

    The black and the white fields of a checkerboard share signal, but no noise.
    """
    black = np.indices(activity.shape[1:]).sum(0) % 2 == 0
    shared, power = np.zeros((2, *black.shape))
    for index, image in enumerate(activity):
        one = gaussian_filter(np.where(black, image, 0), sigma_px)
        other = gaussian_filter(np.where(black, 0, image), sigma_px)
        shared += one * other
        power += one * one
        _tell(report, "comparing", index, len(activity))
    by_chance = np.median(power) / np.sqrt(len(activity)) + 1e-12
    return np.sign(shared) * np.sqrt(np.abs(shared) / by_chance)


def shared_with_middle(patch: Array, middle: Array) -> Array:
    """Return (rows, cols): each pixel's covariance with the mean of the middle ones.

    patch (n, rows, cols), middle (rows, cols) bool. In units in which noise has a
    standard deviation of n ** -0.5; what a pixel shares only with itself is left out.
    """
    n_inside = np.count_nonzero(middle)
    trace = patch[:, middle].mean(1)
    shared = np.tensordot(trace, patch, 1) / len(trace) - middle / n_inside
    return np.asarray(shared / np.sqrt(np.square(trace).mean() + 1e-12))


def _tell(report: Report, stage: str, index: int, n: int) -> None:
    if index % 20 == 0 or index == n - 1:
        report(stage, (index + 1) / n, f"{index + 1} of {n}")
