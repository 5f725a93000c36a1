"""Turns registered bins into activity, and finds pixels that are active together."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter, uniform_filter1d

from rtrecon.core.types import Array
from rtrecon.detection.registered_movie import StageProgressCallback

# Slower than any calcium transient, faster than bleaching or drift of the focus.
_DRIFT_BINS = 61
_STRIP_LINES = 16


def convert_to_activity(
    bins: Array, tissue_px: int, on_progress: StageProgressCallback
) -> Array:
    """Convert bins (n, lines, pixels) to activity in place; return their noise.

    Subtracts the mean of a square of `tissue_px` around each pixel, then slow drift in
    time, and divides by the noise, which is returned: (lines, pixels), in counts.
    """
    for index, image in enumerate(bins):
        image -= uniform_filter(image, tissue_px)
        _report_progress(on_progress, "filtering", index, len(bins))
    noise = np.empty(bins.shape[1:], np.float32)
    for top in range(0, bins.shape[1], _STRIP_LINES):  # a copy of all is too large
        strip = bins[:, top : top + _STRIP_LINES]
        strip -= uniform_filter1d(strip, _DRIFT_BINS, axis=0)
        sd = np.sqrt(np.square(np.diff(strip, axis=0)).mean(0) / 2)
        strip /= np.maximum(sd, 1e-6)
        noise[top : top + _STRIP_LINES] = sd
    return noise


def compute_neighbor_covariance(
    activity: Array, sigma_px: float, on_progress: StageProgressCallback
) -> Array:
    """Return (lines, pixels): signed root of the covariance of neighbouring pixels.

    In units of its value for noise, which is about 1. The black and the white fields
    of a checkerboard share signal but not noise, so their covariance is signal.
    """
    is_black = np.indices(activity.shape[1:]).sum(0) % 2 == 0
    covariance, power = np.zeros((2, *is_black.shape))
    for index, image in enumerate(activity):
        black = gaussian_filter(np.where(is_black, image, 0), sigma_px)
        white = gaussian_filter(np.where(is_black, 0, image), sigma_px)
        covariance += black * white
        power += black * black
        _report_progress(on_progress, "comparing", index, len(activity))
    noise_level = np.median(power) / np.sqrt(len(activity)) + 1e-12
    return np.sign(covariance) * np.sqrt(np.abs(covariance) / noise_level)


def compute_center_covariance(patch: Array, center: Array) -> Array:
    """Return (rows, cols): each pixel's covariance with the mean of the center pixels.

    patch: (n, rows, cols). center: (rows, cols) bool. For noise, the result has the
    standard deviation n ** -0.5; a pixel's covariance with itself is left out.
    """
    n_center = np.count_nonzero(center)
    trace = patch[:, center].mean(1)
    covariance = np.tensordot(trace, patch, 1) / len(trace) - center / n_center
    return np.asarray(covariance / np.sqrt(np.square(trace).mean() + 1e-12))


def _report_progress(
    on_progress: StageProgressCallback, stage: str, index: int, n: int
) -> None:
    if index % 20 == 0 or index == n - 1:
        on_progress(stage, (index + 1) / n, f"{index + 1} of {n}")
