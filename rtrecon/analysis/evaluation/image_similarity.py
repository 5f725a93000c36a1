"""Error in gray levels and delay between two movies."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.similarity import video_correlation

MAX_GRAY = 255.0  # of a pixel
MAX_DELAY_FRAMES = 12


def root_mean_square_error(a: Array, b: Array) -> float:
    """Return the root mean square difference of two movies (n, height, width)."""
    return float(np.sqrt(np.mean(np.square(a.astype(np.float64) - b))))


def peak_signal_to_noise_db(a: Array, b: Array) -> float:
    """Return the peak signal-to-noise ratio in dB; infinite where they are equal."""
    apart = root_mean_square_error(a, b)
    return float(20 * np.log10(MAX_GRAY / apart)) if apart else np.inf


def estimate_delay_frames(made: Array, shown: Array) -> float:
    """Return by how many frames `made` trails `shown` where r of them is largest.

    Searched up to `MAX_DELAY_FRAMES` either way; NaN where there is no r at all.
    """
    most = min(MAX_DELAY_FRAMES, len(made) // 2)
    delays = np.arange(-most, most + 1)
    r = np.array([_correlate_at_delay(made, shown, delay) for delay in delays.tolist()])
    return float(delays[np.nanargmax(r)]) if np.isfinite(r).any() else np.nan


def _correlate_at_delay(made: Array, shown: Array, delay: int) -> float:
    n_frames = len(made) - abs(delay)
    late, early = max(0, delay), max(0, -delay)
    return video_correlation(made[late:][:n_frames], shown[early:][:n_frames])
