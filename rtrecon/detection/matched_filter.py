"""Matched filters for somata, and the correlation of an image with them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy.signal import fftconvolve

from rtrecon.core.types import Array

# In soma diameters. The window includes the dark surround of a soma.
_WINDOW_RADIUS, _EDGE = 0.85, 0.05
_RIM_RADIUS, _RIM_SIGMA, _NUCLEUS_SIGMA = 0.45, 0.13, 0.28


@dataclass(frozen=True)
class MatchedFilter:
    """The expected brightness around the center of a soma.

    pattern: brightness. window: weight of each pixel; it sums to 1, and under it the
    pattern has mean 0 and variance 1. Both are squares with side 2 * reach + 1.
    """

    pattern: Array
    window: Array
    reach: int


def make_ring_filter(diameter_px: float) -> MatchedFilter:
    """Make the filter of a soma with a bright rim around a dark nucleus."""
    distance_px = _distance_px(diameter_px)
    rim = (distance_px - _RIM_RADIUS * diameter_px) / (_RIM_SIGMA * diameter_px)
    nucleus = distance_px / (_NUCLEUS_SIGMA * diameter_px)
    pattern = np.exp(-(rim**2) / 2) - np.exp(-(nucleus**2) / 2)
    return _normalize_filter(pattern, diameter_px)


def make_disc_filter(diameter_px: float) -> MatchedFilter:
    """Make the filter of an evenly bright soma."""
    pattern = _make_soft_disc(diameter_px / 2, diameter_px)
    return _normalize_filter(pattern, diameter_px)


def correlate_image(image: Array, noise: Array, matched_filter: MatchedFilter) -> Array:
    """Return the weighted correlation (-1 to 1) around each pixel with the filter.

    noise: (lines, pixels), standard deviation of each pixel. It adds to the variance,
    so that the correlation is small where noise alone could explain the image.
    """
    pattern, window = matched_filter.pattern, matched_filter.window
    image = image - image.mean()  # to lose no precision in the variance
    mean, square = (_filter_image(part, window) for part in (image, image**2))
    variance = np.maximum(square - mean**2, 0) + _filter_image(noise**2, window)
    return _filter_image(image, pattern * window) / np.sqrt(variance + 1e-12)


def correlate_patch(patch: Array, noise: float, matched_filter: MatchedFilter) -> float:
    """Return the same correlation for one patch, whose pixels all have this noise."""
    pattern, window = matched_filter.pattern, matched_filter.window
    mean, square = ((window * part).sum() for part in (patch, patch**2))
    variance = max(square - mean**2, 0) + noise**2 + 1e-12
    return float((pattern * window * patch).sum() / np.sqrt(variance))


def _reach_px(diameter_px: float) -> int:
    return ceil((_WINDOW_RADIUS + 3 * _EDGE) * diameter_px)


def _distance_px(diameter_px: float) -> Array:
    steps = np.arange(-_reach_px(diameter_px), _reach_px(diameter_px) + 1)
    return np.hypot(steps[:, None], steps)


def _make_soft_disc(radius_px: float, diameter_px: float) -> Array:
    outside = _distance_px(diameter_px) - radius_px
    return np.asarray(1 / (1 + np.exp(outside / (_EDGE * diameter_px))))


def _normalize_filter(pattern: Array, diameter_px: float) -> MatchedFilter:
    window = _make_soft_disc(_WINDOW_RADIUS * diameter_px, diameter_px)
    window = window / window.sum()
    pattern = pattern - (window * pattern).sum()
    pattern = pattern / np.sqrt((window * pattern**2).sum())
    return MatchedFilter(pattern, window, _reach_px(diameter_px))


def _filter_image(image: Array, kernel: Array) -> Array:
    """Return the weighted sum around each pixel; the border mirrors the field."""
    padded = np.pad(image, kernel.shape[0] // 2, mode="symmetric")
    return np.asarray(fftconvolve(padded, kernel, mode="valid"))
