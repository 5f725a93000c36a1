"""Error in gray levels, structural similarity and delay between two movies."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

from rtrecon.core.types import Array
from rtrecon.metrics.similarity import video_correlation

MAX_GRAY = 255.0  # of a pixel
MAX_DELAY_FRAMES = 12
# Wang et al. 2004: an 11 x 11 Gaussian window; constants keep quotients finite.
_SIGMA_PX, _REACH_PX = 1.5, 5
_LUMINANCE, _CONTRAST = (0.01 * MAX_GRAY) ** 2, (0.03 * MAX_GRAY) ** 2


def root_mean_square_error(a: Array, b: Array) -> float:
    """Return the root mean square difference of two movies (n, height, width)."""
    return float(np.sqrt(np.mean(np.square(a.astype(np.float64) - b))))


def peak_signal_to_noise_db(a: Array, b: Array) -> float:
    """Return the peak signal-to-noise ratio in dB; infinite where they are equal."""
    apart = root_mean_square_error(a, b)
    return float(20 * np.log10(MAX_GRAY / apart)) if apart else np.inf


def structural_similarity(a: Array, b: Array) -> float:
    """Return the mean structural similarity over frames and whole windows.

    a, b: (n, height, width) of gray levels 0..255, sides of 11 px or more.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = _blur_frames(a), _blur_frames(b)
    variance_a = _blur_frames(a * a) - mean_a**2
    variance_b = _blur_frames(b * b) - mean_b**2
    both = _blur_frames(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _LUMINANCE) / (
        mean_a**2 + mean_b**2 + _LUMINANCE
    )
    structure = (2 * both + _CONTRAST) / (variance_a + variance_b + _CONTRAST)
    inside = slice(_REACH_PX, -_REACH_PX)
    return float((luminance * structure)[:, inside, inside].mean())


def estimate_delay_frames(made: Array, shown: Array) -> float:
    """Return by how many frames `made` trails `shown` where r of them is largest.

    Searched up to `MOST_DELAY_FRAMES` either way; NaN where there is no r at all.
    """
    most = min(MAX_DELAY_FRAMES, len(made) // 2)
    delays = np.arange(-most, most + 1)
    r = np.array([_correlate_at_delay(made, shown, delay) for delay in delays.tolist()])
    return float(delays[np.nanargmax(r)]) if np.isfinite(r).any() else np.nan


def _correlate_at_delay(made: Array, shown: Array, delay: int) -> float:
    n_frames = len(made) - abs(delay)
    late, early = max(0, delay), max(0, -delay)
    return video_correlation(made[late:][:n_frames], shown[early:][:n_frames])


def _blur_frames(movie: Array) -> Array:
    offsets = np.arange(-_REACH_PX, _REACH_PX + 1)
    window = np.exp(-(offsets**2) / (2 * _SIGMA_PX**2))
    window /= window.sum()
    return np.asarray(correlate1d(correlate1d(movie, window, axis=1), window, axis=2))
