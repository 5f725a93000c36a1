"""Scores of an encoder on activity that it was not fitted to.

Sums are accumulated segment by segment, so that a recording of any length takes the
memory of half a minute. Data are in main memory; the encoder predicts on its device.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.types import Array
from rtrecon.encoder.base import LiveEncoder
from rtrecon.encoder.device_memory import retry_on_oom
from rtrecon.training.compact.encoder_data import EncoderData

_SEGMENT_FRAMES = 936  # predicted at once: whole blocks of the encoder's convolution


def predict_activity(encoder: LiveEncoder, data: EncoderData) -> Array:
    """Return (T - past_frames, n) predicted activity."""
    predictions = [expected for expected, _ in _iterate_predictions(encoder, data)]
    return np.concatenate(predictions)


def compute_correlation(encoder: LiveEncoder, data: EncoderData) -> Array:
    """Return (n,) Pearson r of predicted and recorded activity; NaN if constant."""
    return _accumulate_correlation(_iterate_predictions(encoder, data))


def estimate_dispersion(encoder: LiveEncoder, data: EncoderData) -> Tensor:
    """Return (n,) variance of activity around the prediction, per mean.

    1 for Poisson counts, and where no activity is known.
    """
    total = count = np.zeros(data.activity.shape[1])
    for expected, recorded in _iterate_predictions(encoder, data):
        pearson_chi2 = (recorded - expected) ** 2 / expected
        total = total + np.nansum(pearson_chi2, 0, dtype=np.float64)
        count = count + np.isfinite(recorded).sum(0)
    variance_per_mean = np.where(count > 0, total / np.maximum(count, 1), 1.0)
    return torch.from_numpy(variance_per_mean.astype(np.float32))


def correlate_columns(a: Array, b: Array) -> Array:
    """Return Pearson r of each column of a with the same column of b.

    Frames in which either is NaN are left out.
    """
    return _accumulate_correlation(iter([(a, b)]))


def average_correlation(r: Array) -> float:
    """Return the mean over neurons whose correlation is finite; 0 if none is."""
    finite = r[np.isfinite(r)]
    return float(finite.mean()) if len(finite) else 0.0


def _accumulate_correlation(pairs: Iterator[tuple[Array, Array]]) -> Array:
    first_pair = next(pairs)
    # Sums of squares lose digits where the mean is large, so both are shifted near 0.
    with np.errstate(invalid="ignore"):
        origins = [np.nan_to_num(array[0].astype(np.float64)) for array in first_pair]
    sums = np.zeros((6, first_pair[0].shape[1]))
    for a, b in (first_pair, *pairs):
        is_known = np.isfinite(a) & np.isfinite(b)
        x = np.where(is_known, a - origins[0], 0.0)
        y = np.where(is_known, b - origins[1], 0.0)
        sums += [part.sum(0) for part in (is_known, x, y, x * x, y * y, x * y)]
    n, x, y, xx, yy, xy = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        variance_product = (n * xx - x**2) * (n * yy - y**2)
        return np.asarray((n * xy - x * y) / np.sqrt(variance_product))


def _iterate_predictions(
    encoder: LiveEncoder, data: EncoderData
) -> Iterator[tuple[Array, Array]]:
    """Yield (expected, recorded) activity, (T, n) each, segment by segment."""
    past_frames = encoder.past_frames
    for segment in data.iterate_segments(_SEGMENT_FRAMES, past_frames):
        on_device = segment.to(encoder.device)
        predict = partial(encoder.predict, on_device.coef, on_device.behavior)
        with torch.no_grad():
            expected = retry_on_oom(predict, encoder.reduce_memory)
        yield expected.cpu().numpy(), segment.activity[past_frames:].numpy()
