"""How well an encoder predicts activity that it was not fitted to.

Everything is summed up a stretch at a time, so that a recording of any length and
thousands of neurons takes the memory of a minute. Data lie in main memory; the encoder
predicts on whatever device it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.device_memory import in_memory
from rtrecon.encoder.protocol import LiveEncoder
from rtrecon.training.compact.data import Data

_FRAMES = 936  # predicted at a time: whole blocks of the encoder's convolution


def predict(encoder: LiveEncoder, data: Data) -> Array:
    """Return (T - past_frames, n) predicted activity."""
    return np.concatenate([expected for expected, _ in _pairs(encoder, data)])


def correlation(encoder: LiveEncoder, data: Data) -> Array:
    """Return (n,) Pearson r of predicted and recorded activity; NaN if constant."""
    return _pearson(_pairs(encoder, data))


def dispersion(encoder: LiveEncoder, data: Data) -> Tensor:
    """Return (n,) variance of activity per mean, around the prediction; 1 if unknown.

    One is what counted events have (Poisson).
    """
    total = count = np.zeros(data.activity.shape[1])
    for expected, recorded in _pairs(encoder, data):
        pearson_chi2 = (recorded - expected) ** 2 / expected
        total = total + np.nansum(pearson_chi2, 0, dtype=np.float64)
        count = count + np.isfinite(recorded).sum(0)
    known = np.where(count > 0, total / np.maximum(count, 1), 1.0)
    return torch.from_numpy(known.astype(np.float32))


def pearson(a: Array, b: Array) -> Array:
    """Return Pearson r of each column of a with the same column of b.

    Frames in which either is NaN do not count.
    """
    return _pearson(iter([(a, b)]))


def mean_r(r: Array) -> float:
    """Return the mean over neurons that have a correlation; 0 if none has."""
    known = r[np.isfinite(r)]
    return float(known.mean()) if len(known) else 0.0


def _pearson(pairs: Iterator[tuple[Array, Array]]) -> Array:
    first = next(pairs)
    # Sums of squares lose digits where the mean is large: both are moved near zero.
    with np.errstate(invalid="ignore"):
        zeros = [np.nan_to_num(array[0].astype(np.float64)) for array in first]
    sums = np.zeros((6, first[0].shape[1]))
    for a, b in (first, *pairs):
        known = np.isfinite(a) & np.isfinite(b)
        x = np.where(known, a - zeros[0], 0.0)
        y = np.where(known, b - zeros[1], 0.0)
        sums += [part.sum(0) for part in (known, x, y, x * x, y * y, x * y)]
    n, x, y, xx, yy, xy = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = (n * xx - x**2) * (n * yy - y**2)
        return np.asarray((n * xy - x * y) / np.sqrt(spread))


def _pairs(encoder: LiveEncoder, data: Data) -> Iterator[tuple[Array, Array]]:
    """Yield (expected, recorded) activity, (T, n) each, a stretch at a time."""
    past_frames = encoder.past_frames
    for part in data.parts(_FRAMES, past_frames):
        given = part.to(encoder.device)
        ask = partial(encoder.expect, given.coef, given.behavior)
        with torch.no_grad():
            expected = in_memory(ask, encoder.ease)
        yield expected.cpu().numpy(), part.activity[past_frames:].numpy()
