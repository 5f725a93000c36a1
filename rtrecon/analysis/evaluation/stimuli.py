"""Stimuli that no movie is like: what the reconstruction makes of them tells its bias.

Each is uint8 (T, 36, 64), of the contrast of natural movies where nothing else is said.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from rtrecon.core.types import Array
from rtrecon.simulate.movie import CONTRAST, MEAN, SHAPE

NOISES = ((2.0, 2.0), (4.0, 8.0), (8.0, 1.0))  # s.d. in px, in frames
GRATINGS = ((0.03, 1.9), (0.06, 3.8), (0.12, 1.9))  # cycles per px, Hz


def scaled_contrast(movie: Array, factor: float) -> Array:
    """Return the movie with its deviations from its mean gray scaled."""
    gray = movie.mean()
    return _pixels(gray + factor * (movie - gray))


def inverted(movie: Array) -> Array:
    """Return the movie with light and dark exchanged, about its mean gray."""
    return scaled_contrast(movie, -1.0)


def noise(n_frames: int, scales: tuple[float, float], seed: int) -> Array:
    """Return Gaussian noise, smooth over `scales`: s.d. in px and in frames."""
    sigma_px, sigma_frames = scales
    white = np.random.default_rng([seed, 31]).normal(size=(n_frames, *SHAPE))
    return _standard(gaussian_filter(white, (sigma_frames, sigma_px, sigma_px)))


def grating(
    n_frames: int, cycles_per_px: float, cycles_per_frame: float, angle: float
) -> Array:
    """Return a sinusoidal grating that drifts towards `angle` (radians)."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    along = x * np.cos(angle) + y * np.sin(angle)
    at = np.arange(n_frames)[:, None, None] * cycles_per_frame
    return _standard(np.sin(2 * np.pi * (cycles_per_px * along - at)))


def _standard(movie: Array) -> Array:
    return _pixels(MEAN + CONTRAST * (movie - movie.mean()) / movie.std())


def _pixels(movie: Array) -> Array:
    return np.rint(np.clip(movie, 0, 255)).astype(np.uint8)
