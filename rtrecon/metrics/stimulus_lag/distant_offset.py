"""Searches minutes of offset for the one at which activity follows the stimulus.

A stimulus computer with a wrong clock shifts the whole stimulus by seconds or hours.
The search regresses the strongest common components of the activity on the stimulus at
every offset at once: cross-covariances come from Fourier transforms.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, linalg

from rtrecon.core.types import Array
from rtrecon.metrics.stimulus_lag.lag_curves import add_ridge
from rtrecon.metrics.stimulus_lag.paired_data import PairedData

MAX_OFFSET_S = 300.0
_N_COMPONENTS = 20
_MIN_Z = 8.0  # robust s.d. above the median of all offsets
_MAX_SHARE = 0.25  # of the session's length; less overlap says nothing


def find_distant_offset(data: PairedData) -> float | None:
    """Return the offset in seconds that stands out, or None.

    Positive: activity follows the recorded stimulus by so much.
    """
    explained, offsets = compute_explained_variance(data)
    spread = 1.4826 * np.median(np.abs(explained - np.median(explained)))
    best = int(np.argmax(explained))
    if explained[best] - np.median(explained) < _MIN_Z * spread:
        return None
    return float(offsets[best] / data.rate_hz)


def compute_explained_variance(data: PairedData) -> tuple[Array, Array]:
    """Return variance of the components that each offset explains, and the offsets.

    The fit is not validated: all offsets overfit alike, so that one stands out.
    """
    components = _find_components(data.activity)
    n_frames = len(data)
    reach = int(min(MAX_OFFSET_S * data.rate_hz, _MAX_SHARE * n_frames))
    length = fft.next_fast_len(n_frames + reach, real=True)
    offsets = np.arange(-reach, reach + 1)
    spectrum = np.conj(fft.rfft(data.features, length, axis=0))
    factor = linalg.cho_factor(add_ridge(data.features.T @ data.features))
    explained = np.zeros(len(offsets))
    for component in components.T:
        products = fft.irfft(
            spectrum * fft.rfft(component, length)[:, None], length, axis=0
        )[offsets]
        solved = linalg.cho_solve(factor, products.T).T
        explained += (products * solved).sum(1)
    return explained, offsets


def _find_components(activity: Array) -> Array:
    """Return (T, k), the principal components with the largest variance."""
    values, vectors = np.linalg.eigh((activity.T @ activity).astype(np.float64))
    n = min(_N_COMPONENTS, len(values))
    return np.asarray(activity @ vectors[:, -n:], np.float32)
