"""Similarity of the live movie to a clip, at the best match in time."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array

_MID_GRAY = 128.0  # subtracted before summing, so that the sums stay small
_MIN_VARIANCE = 1e-3  # gray levels squared; frames with less show no pattern


class ClipMatcher:
    """Compares movies with a clip, uint8 (n, height, width), not of one gray level."""

    def __init__(self, clip: Array) -> None:
        self._clip = _FrameSums(clip)

    def best_correlation(self, window: Array) -> float:
        """Return the largest correlation over all pixels of the overlapping frames.

        window: uint8 (n, height, width), of the clip's height and width. The shorter
        of the two is moved along the longer one. Returns a value in -1..1, or NaN if
        the window shows no pattern.
        """
        short, long = sorted((_FrameSums(window), self._clip), key=len)
        n = len(short)
        n_offsets = len(long) - n + 1
        products = short.pixels @ long.pixels.T
        # Entry k: the sum of products with frames k .. k + n - 1 of the longer one.
        product = sum(products[i, i : i + n_offsets].astype(float) for i in range(n))
        n_pixels = n * short.pixels.shape[1]
        mean = short.sums.sum() / n_pixels
        means = _moving_sums(long.sums, n) / n_pixels
        variance = short.squares.sum() / n_pixels - mean**2
        variances = _moving_sums(long.squares, n) / n_pixels - means**2
        has_pattern = variances > _MIN_VARIANCE
        if variance <= _MIN_VARIANCE or not has_pattern.any():
            return np.nan
        covariance = (product / n_pixels - mean * means)[has_pattern]
        return float((covariance / np.sqrt(variance * variances[has_pattern])).max())


class _FrameSums:
    """Frames as rows of float32 pixels around mid gray, with the sums of each row."""

    def __init__(self, frames: Array) -> None:
        rows = frames.reshape(len(frames), -1)
        self.pixels = rows.astype(np.float32) - np.float32(_MID_GRAY)
        self.sums = self.pixels.sum(axis=1, dtype=float)
        self.squares = np.square(self.pixels).sum(axis=1, dtype=float)

    def __len__(self) -> int:
        return len(self.pixels)


def _moving_sums(values: Array, n: int) -> Array:
    """Return the sum of every `n` consecutive values."""
    cumulative = np.concatenate([[0.0], np.cumsum(values)])
    return cumulative[n:] - cumulative[:-n]
