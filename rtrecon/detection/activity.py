"""Turns registered bins into activity, and finds pixels that are active together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter, uniform_filter1d

from rtrecon.core.numba_jit import jit_summing_kernel
from rtrecon.core.threads import map_in_threads
from rtrecon.core.types import Array
from rtrecon.detection.registered_movie import StageProgressCallback

_Parameter = TypeVar("_Parameter")
_Result = TypeVar("_Result")

# Slower than any calcium transient, faster than bleaching or drift of the focus.
_DRIFT_BINS = 61
_STRIP_LINES = 16
# Images of a batch; sums over batches do not depend on the number of threads.
_BATCH_IMAGES = 20


def convert_to_activity(
    bins: Array, tissue_px: int, on_progress: StageProgressCallback
) -> Array:
    """Convert bins (n, lines, pixels) to activity in place; return their noise.

    Subtracts the mean of a square of `tissue_px` around each pixel, then slow drift in
    time, and divides by the noise, which is returned: (lines, pixels), in counts.
    """
    for _ in _map_batches(_subtract_tissue, bins, tissue_px, "filtering", on_progress):
        pass
    tops = range(0, bins.shape[1], _STRIP_LINES)  # a copy of all is too large
    strips = (bins[:, top : top + _STRIP_LINES] for top in tops)
    return np.concatenate(list(map_in_threads(_remove_drift, strips)))


def _subtract_tissue(images: Array, tissue_px: int) -> None:
    for image in images:
        image -= uniform_filter(image, tissue_px)


def _remove_drift(strip: Array) -> Array:
    """Convert a strip of bins in place; return its noise (lines, pixels)."""
    strip -= uniform_filter1d(strip, _DRIFT_BINS, axis=0)
    noise = np.sqrt(np.square(np.diff(strip, axis=0)).mean(0) / 2)
    strip /= np.maximum(noise, 1e-6)
    return np.asarray(noise)


def compute_neighbor_covariance(
    activity: Array, sigma_px: float, on_progress: StageProgressCallback
) -> Array:
    """Return (lines, pixels): signed root of the covariance of neighbouring pixels.

    In units of its value for noise, which is about 1. The black and the white fields
    of a checkerboard share signal but not noise, so their covariance is signal.
    """
    covariance, power = np.zeros((2, *activity.shape[1:]))
    for of_batch in _map_batches(
        _sum_products, activity, sigma_px, "comparing", on_progress
    ):
        covariance += of_batch[0]
        power += of_batch[1]
    noise_level = np.median(power) / np.sqrt(len(activity)) + 1e-12
    return np.sign(covariance) * np.sqrt(np.abs(covariance) / noise_level)


def _sum_products(images: Array, sigma_px: float) -> Array:
    """Return (2, lines, pixels): sums of black times white, and of black squared."""
    is_black = np.indices(images.shape[1:]).sum(0) % 2 == 0
    sums = np.zeros((2, *is_black.shape))
    for image in images:
        black = gaussian_filter(np.where(is_black, image, 0), sigma_px)
        white = gaussian_filter(np.where(is_black, 0, image), sigma_px)
        sums[0] += black * white
        sums[1] += black * black
    return sums


def compute_center_covariance(
    activity: Array, indices: tuple[Array, Array], center: Array
) -> Array:
    """Return (rows, cols): each pixel's covariance with the mean of the center pixels.

    activity: (n, lines, pixels) float32. indices: of the lines and of the pixels of a
    patch. center: (rows, cols) bool, pixels of the patch. For noise, the result has the
    standard deviation n ** -0.5; a pixel's covariance with itself is left out.
    """
    covariance = np.zeros(center.shape)
    power = _sum_center_products(activity, *indices, center, covariance)
    covariance = covariance / len(activity) - center / np.count_nonzero(center)
    return np.asarray(covariance / np.sqrt(power / len(activity) + 1e-12))


@jit_summing_kernel
def _sum_center_products(
    activity: Array, rows: Array, cols: Array, center: Array, products: Array
) -> float:
    """Add each pixel times the center's mean to `products`; return the mean's power.

    Reads each pixel of each image once: patches of all images are scattered in memory.
    """
    patch = np.empty(center.shape, np.float32)
    n_center = center.sum()
    power = 0.0
    for t in range(len(activity)):
        total = 0.0
        for i in range(len(rows)):
            for j in range(len(cols)):
                patch[i, j] = activity[t, rows[i], cols[j]]
                total += patch[i, j] * center[i, j]
        mean = total / n_center
        power += mean * mean
        for i in range(len(rows)):
            for j in range(len(cols)):
                products[i, j] += mean * patch[i, j]
    return power


def _map_batches(
    function: Callable[[Array, _Parameter], _Result],
    images: Array,
    parameter: _Parameter,
    stage: str,
    on_progress: StageProgressCallback,
) -> Iterator[_Result]:
    """Yield the result of each batch, in order, and report how many images are done."""
    n = len(images)
    starts = range(0, n, _BATCH_IMAGES)
    batches = (images[start : start + _BATCH_IMAGES] for start in starts)
    results = map_in_threads(lambda batch: function(batch, parameter), batches)
    for start, result in zip(starts, results, strict=True):
        n_done = min(start + _BATCH_IMAGES, n)
        on_progress(stage, n_done / n, f"{n_done} of {n}")
        yield result
