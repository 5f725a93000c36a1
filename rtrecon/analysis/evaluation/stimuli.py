"""Stimuli unlike natural movies; their reconstruction shows the bias of the method.

Each is uint8 (T, 36, 64) and has the contrast of natural movies by default.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from rtrecon.core.types import Array
from rtrecon.simulate.movie import MEAN_GRAY, SD_GRAY, SHAPE

NOISE_SCALES = ((2.0, 2.0), (4.0, 8.0), (8.0, 1.0))  # s.d. in px, in frames
GRATINGS = ((0.03, 1.9), (0.06, 3.8), (0.12, 1.9))  # cycles per px, Hz
# Low contrast, inverted contrast, noises, one noise inverted, and gratings.
N_STIMULI = 2 + len(NOISE_SCALES) + 1 + len(GRATINGS)


def scale_contrast(movie: Array, factor: float) -> Array:
    """Return the movie with its deviations from its mean gray multiplied."""
    gray = movie.mean()
    return _to_gray_levels(gray + factor * (movie - gray))


def invert_contrast(movie: Array) -> Array:
    """Return the movie with light and dark exchanged around its mean gray."""
    return scale_contrast(movie, -1.0)


def make_noise(n_frames: int, scales: tuple[float, float], seed: int) -> Array:
    """Return Gaussian noise, smooth over `scales`: s.d. in px and in frames."""
    sigma_px, sigma_frames = scales
    white = np.random.default_rng([seed, 31]).normal(size=(n_frames, *SHAPE))
    return _scale_to_movies(gaussian_filter(white, (sigma_frames, sigma_px, sigma_px)))


def make_grating(
    n_frames: int, cycles_per_px: float, cycles_per_frame: float, angle: float
) -> Array:
    """Return a sinusoidal grating that drifts towards `angle` (radians)."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    along = x * np.cos(angle) + y * np.sin(angle)
    at = np.arange(n_frames)[:, None, None] * cycles_per_frame
    return _scale_to_movies(np.sin(2 * np.pi * (cycles_per_px * along - at)))


def _scale_to_movies(movie: Array) -> Array:
    return _to_gray_levels(MEAN_GRAY + SD_GRAY * (movie - movie.mean()) / movie.std())


def _to_gray_levels(movie: Array) -> Array:
    return np.rint(np.clip(movie, 0, 255)).astype(np.uint8)
