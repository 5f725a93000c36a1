"""How well the stimulus predicts each neuron's activity, as a function of the lag.

One ridge regression per lag predicts the activity of frame t from the features of
frame t - lag. Blocks of ten seconds are assigned in turn to two folds; the weights of
one fold predict the other. All scores follow from sums of products, so that every frame
is read once per lag.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from rtrecon.core.types import Array
from rtrecon.metrics.stimulus_lag.paired_data import PairedData

BLOCK_S = 10.0
N_FOLDS, N_HALVES = 2, 2
_RIDGE = 0.1  # times the mean variance of a feature
_MIN_VARIANCE = 1e-9


@dataclass(frozen=True)
class LagCurves:
    """r (halves of the session, folds, lags, n): prediction against activity.

    The prediction of a fold comes from weights of the other fold. lags_frames: (lags,)
    how many frames activity follows the stimulus.
    """

    lags_frames: Array
    r: Array


class LagFit:
    """Ridge regressions of one session's activity on its stimulus, at any lag."""

    def __init__(self, data: PairedData) -> None:
        self._data = data
        self._parts = [
            [_SessionPart(data, half, fold) for fold in range(N_FOLDS)]
            for half in range(N_HALVES)
        ]
        self._factors = [
            linalg.cho_factor(add_ridge(sum(part.feature_sums for part in parts)))
            for parts in zip(*self._parts, strict=True)
        ]

    def compute_curves(self, lags_frames: Array) -> LagCurves:
        """Score the prediction that was fitted at each lag."""
        curves = self._allocate(lags_frames)
        for index, lag in enumerate(lags_frames.tolist()):
            products = self._sum_products(lag)
            for fold in range(N_FOLDS):
                weights = self._solve(products, 1 - fold)
                self._score(curves.r[:, fold, index], weights, (products, fold))
        return curves

    def compute_shifted_curves(self, fitted_lag: int, lags_frames: Array) -> LagCurves:
        """Score, at each lag, the prediction that was fitted at one of them.

        The weights stay the same, so that a curve has its peak at the lag of its part
        of the session, even if that differs from the lag of the whole.
        """
        fitted = self._sum_products(fitted_lag)
        weights = [self._solve(fitted, 1 - fold) for fold in range(N_FOLDS)]
        curves = self._allocate(lags_frames)
        for index, lag in enumerate(lags_frames.tolist()):
            products = self._sum_products(lag)
            for fold in range(N_FOLDS):
                self._score(curves.r[:, fold, index], weights[fold], (products, fold))
        return curves

    def _allocate(self, lags_frames: Array) -> LagCurves:
        n_neurons = self._data.activity.shape[1]
        shape = N_HALVES, N_FOLDS, len(lags_frames), n_neurons
        return LagCurves(lags_frames, np.empty(shape))

    def _sum_products(self, lag: int) -> list[list[Array]]:
        return [
            [_sum_products(self._data, part.blocks, lag) for part in half]
            for half in self._parts
        ]

    def _solve(self, products: list[list[Array]], fold: int) -> Array:
        """Return the weights (p, n) of one fold."""
        both = sum(half[fold] for half in products)
        return np.asarray(linalg.cho_solve(self._factors[fold], both))

    def _score(
        self, out: Array, weights: Array, scored: tuple[list[list[Array]], int]
    ) -> None:
        """Write r (halves, n) of weights in one fold."""
        products, fold = scored
        for half in range(N_HALVES):
            part = self._parts[half][fold]
            covariance = (weights * products[half][fold]).sum(0)
            predicted = (weights * (part.feature_sums @ weights)).sum(0)
            variance = np.maximum(predicted * part.activity_squares, _MIN_VARIANCE)
            out[half] = covariance / np.sqrt(variance)


class _SessionPart:
    """The blocks of one fold in one half of the session, and their sums."""

    def __init__(self, data: PairedData, half: int, fold: int) -> None:
        middle = len(data) // 2
        first, last = (0, middle) if half == 0 else (middle, len(data))
        length = round(BLOCK_S * data.rate_hz)
        blocks = [slice(i, min(i + length, last)) for i in range(first, last, length)]
        self.blocks = blocks[fold::N_FOLDS]
        self.feature_sums = np.zeros((data.features.shape[1],) * 2)
        self.activity_squares = np.zeros(data.activity.shape[1])
        for block in self.blocks:
            x = data.features[block]
            self.feature_sums += x.T @ x
            self.activity_squares += np.square(data.activity[block]).sum(0)


def _sum_products(data: PairedData, blocks: list[slice], lag: int) -> Array:
    """Return (p, n) sums of feature at t - lag times activity at t."""
    total = np.zeros((data.features.shape[1], data.activity.shape[1]))
    for block in blocks:
        start, stop = max(block.start, lag), min(block.stop, len(data) + lag)
        if start < stop:
            x = data.features[start - lag : stop - lag]
            total += x.T @ data.activity[start:stop]
    return total


def add_ridge(products: Array) -> Array:
    """Return sums of products (p, p) with a penalty on every weight."""
    size = len(products)
    return products + np.eye(size) * max(
        _RIDGE * np.trace(products) / size, _MIN_VARIANCE
    )
