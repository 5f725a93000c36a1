"""Stimulus and activity on one time base, prepared for linear fits at any lag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from rtrecon.core.types import Array

BLOCK_PX = 4  # a feature is the mean, or the s.d., of the gray levels in such a block
_SMOOTHED_FRAMES = 5  # activity is sparse; an even filter does not move it in time
_MIN_SD = 1e-6
_BLOCK_FRAMES = 3000  # of whose pixels copies are made
_MAX_GAP_S = 90.0  # longer than any lag, which then crosses none


@dataclass(frozen=True)
class PairedData:
    """Features of the stimulus, and activity, of the same T encoder frames.

    features: (T, p) float32, standardized. activity: (T, n) float32, smoothed, mean 0
    and s.d. 1. Both are 0 in frames where stimulus or activity is unknown; n_known
    frames are known.
    """

    features: Array
    activity: Array
    rate_hz: float
    n_known: int

    def __len__(self) -> int:
        return len(self.features)


def compute_stimulus_features(movie: Array) -> Array:
    """Return mean and s.d. of blocks, float32 (T, p), of a movie (T, height, width).

    Means drive simple cells; the s.d. stands for the contrast that drives complex ones.
    """
    height, width = (side // BLOCK_PX * BLOCK_PX for side in movie.shape[1:])
    pixels = movie[:, :height, :width].astype(np.float32)
    shape = len(movie), height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX
    blocks = pixels.reshape(shape)
    mean, sd = blocks.mean((2, 4)), blocks.std((2, 4))
    flat = [block.reshape(len(movie), -1) for block in (mean, sd)]
    return np.concatenate(flat, 1)


def compute_feature_blocks(movie: Array) -> Array:
    """Return the features of a long movie (T, height, width), in little memory."""
    starts = range(0, len(movie), _BLOCK_FRAMES)
    return np.concatenate(
        [compute_stimulus_features(movie[i : i + _BLOCK_FRAMES]) for i in starts]
    )


def shorten_gaps(encoder_frames: Array, rate_hz: float) -> Array:
    """Return increasing frames from 0 on, where a pause of hours is one of seconds.

    encoder_frames (T,) increase.
    """
    steps = np.diff(encoder_frames, prepend=encoder_frames[0])
    return np.cumsum(np.minimum(steps, round(_MAX_GAP_S * rate_hz)))


def pair_data(features: Array, activity: Array, rate_hz: float) -> PairedData:
    """Standardize features (T, p) and activity (T, n); NaN marks unknown frames.

    A frame counts as unknown if any feature, or the activity of every neuron, is NaN.
    """
    is_known = np.logical_and(
        np.isfinite(features).all(1), np.isfinite(activity).any(1)
    )
    smooth = uniform_filter1d(
        _standardize(activity, is_known), _SMOOTHED_FRAMES, axis=0, mode="constant"
    )
    return PairedData(
        features=_standardize(features, is_known),
        activity=_standardize(smooth, is_known),
        rate_hz=rate_hz,
        n_known=int(is_known.sum()),
    )


def _standardize(values: Array, is_known: Array) -> Array:
    """Return values with mean 0 and s.d. 1 over known frames, and 0 in the others."""
    is_value = is_known[:, None] & np.isfinite(values)
    count = np.maximum(is_value.sum(0), 1)
    mean = values.sum(0, dtype=np.float64, where=is_value) / count
    centered = np.where(is_value, values - mean, 0)
    sd = np.sqrt(np.square(centered).sum(0) / count)
    return np.asarray(centered / np.maximum(sd, _MIN_SD), np.float32)
