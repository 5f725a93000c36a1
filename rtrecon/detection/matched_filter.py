"""What the surroundings of a neuron's middle look like, and how to compare with it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from scipy.signal import fftconvolve

from rtrecon.core.types import Array

# In diameters of a soma. What is compared reaches into the dark around it.
_REACH, _EDGE = 0.85, 0.05
_RIM_RADIUS, _RIM_SIGMA, _NUCLEUS_SIGMA = 0.45, 0.13, 0.28


@dataclass(frozen=True)
class Ideal:
    """pattern, window: (2 * reach + 1) squared; how bright, and how much it counts.

    The window sums to 1; under it, the pattern has mean 0 and variance 1.
    """

    pattern: Array
    window: Array
    reach: int


def ring(diameter_px: float) -> Ideal:
    """A bright rim around a nucleus that stays dark."""
    apart = _apart(diameter_px)
    rim = (apart - _RIM_RADIUS * diameter_px) / (_RIM_SIGMA * diameter_px)
    nucleus = apart / (_NUCLEUS_SIGMA * diameter_px)
    return _ideal(np.exp(-(rim**2) / 2) - np.exp(-(nucleus**2) / 2), diameter_px)


def disc(diameter_px: float) -> Ideal:
    """A soma filled evenly."""
    return _ideal(_soft_disc(diameter_px / 2, diameter_px), diameter_px)


def likeness(image: Array, noise: Array, ideal: Ideal) -> Array:
    """Return -1..1: correlation of each place's surroundings with the ideal.

    noise: standard deviation of each pixel, small where it does not matter: what noise
    alone could have made is not very like anything.
    """
    image = image - image.mean()  # so that no precision is lost below
    mean, square = (_averaged(part, ideal.window) for part in (image, image**2))
    variance = np.maximum(square - mean**2, 0) + _averaged(noise**2, ideal.window)
    return _averaged(image, ideal.pattern * ideal.window) / np.sqrt(variance + 1e-12)


def likeness_of(patch: Array, noise: float, ideal: Ideal) -> float:
    """Return the same for one place, of whose surroundings all pixels are as noisy."""
    mean, square = ((ideal.window * part).sum() for part in (patch, patch**2))
    variance = max(square - mean**2, 0) + noise**2 + 1e-12
    return float((ideal.pattern * ideal.window * patch).sum() / np.sqrt(variance))


def _reach(diameter_px: float) -> int:
    return ceil((_REACH + 3 * _EDGE) * diameter_px)


def _apart(diameter_px: float) -> Array:
    steps = np.arange(-_reach(diameter_px), _reach(diameter_px) + 1)
    return np.hypot(steps[:, None], steps)


def _soft_disc(radius_px: float, diameter_px: float) -> Array:
    outside = _apart(diameter_px) - radius_px
    return np.asarray(1 / (1 + np.exp(outside / (_EDGE * diameter_px))))


def _ideal(pattern: Array, diameter_px: float) -> Ideal:
    window = _soft_disc(_REACH * diameter_px, diameter_px)
    window = window / window.sum()
    pattern = pattern - (window * pattern).sum()
    pattern = pattern / np.sqrt((window * pattern**2).sum())
    return Ideal(pattern, window, _reach(diameter_px))


def _averaged(image: Array, kernel: Array) -> Array:
    """Weighted sum around each place; beyond the border the field is mirrored."""
    padded = np.pad(image, kernel.shape[0] // 2, mode="symmetric")
    return np.asarray(fftconvolve(padded, kernel, mode="valid"))
