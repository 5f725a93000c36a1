"""Whether neurons follow the recorded stimulus, how late, and whether this drifts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rtrecon.core.types import Array
from rtrecon.metrics.stimulus_lag.distant_offset import find_distant_offset
from rtrecon.metrics.stimulus_lag.lag_curves import BLOCK_S, LagCurves, LagFit
from rtrecon.metrics.stimulus_lag.paired_data import PairedData
from rtrecon.metrics.stimulus_lag.repeats import (
    RepeatAgreement,
    measure_repeat_agreement,
)

SEARCHED_S = (-1.0, 2.0)  # of lags
_LAG_STEP_FRAMES = 2
_HALF_REACH_S = (
    0.3  # around the lag of the whole, where the lag of a half is looked for
)
# Lags of the null. Blocks of both folds alternate, so that only even numbers of blocks
# lay features and activity of the same fold on each other, as the real lags do.
_UNRELATED_BLOCKS, _UNRELATED_NEAR_S = (-6, -4, -2, 2, 4, 6), (-1.0, -0.5, 0.0, 0.5, 1)
_MAX_UNRELATED_SHARE = 0.25  # of the session's length
_MIN_Z = 5.0  # above the null, for a neuron to follow
_MIN_MEAN_Z, _MIN_MEAN_R = 6.0, 0.03  # of the mean over all neurons, for any to follow
_MIN_FOLLOWING, _MIN_SHARE = 5, 0.02  # neurons, and of all; fewer give no lag
_PREDICTED_S, _OFFSET_STEP_FRAMES = (-18.0, 18.0), 4  # short of the unrelated lags
_MAX_PREDICTED_S = 240.0
_MAD_TO_SD = 1.4826


@dataclass(frozen=True)
class LagEstimate:
    """How late activity follows the stimulus, in seconds.

    error_s: standard error of `lag_s`. drift_s: how much later it follows in the second
    half of the session than in the first. drift_error_s: standard error of that.
    """

    lag_s: float
    error_s: float
    drift_s: float
    drift_error_s: float


@dataclass(frozen=True)
class StimulusLag:
    """How the neurons of a session follow its stimulus.

    estimate: None if too few neurons follow; then `distant_offset_s` is the offset
    outside `SEARCHED_S` at which they do, None if there is none. repeats: None if no
    clip is shown twice.
    """

    minutes: float
    n_neurons: int
    n_following: int
    repeats: RepeatAgreement | None = None
    estimate: LagEstimate | None = None
    distant_offset_s: float | None = None


def measure_stimulus_lag(data: PairedData, frame_ids: Array) -> StimulusLag:
    """Measure lag, drift and repeats; less than two minutes of data say little.

    frame_ids: (T,) of the stimulus, see `repeats.hash_frames`.
    """
    fit = LagFit(data)
    curves = fit.compute_curves(_list_lags(data.rate_hz))
    unrelated = _compute_unrelated(fit, data)
    follows = _find_following(curves, unrelated)
    found = StimulusLag(
        minutes=data.n_known / data.rate_hz / 60,
        n_neurons=data.activity.shape[1],
        n_following=int(follows.sum()),
        repeats=measure_repeat_agreement(frame_ids, data.activity, data.rate_hz),
    )
    if found.n_following < max(_MIN_FOLLOWING, _MIN_SHARE * found.n_neurons):
        if not _is_mean_related(curves, unrelated):
            offset_s = find_distant_offset(data)
            if offset_s is None:
                offset_s = _find_offset_by_prediction(data)
            return replace(found, distant_offset_s=offset_s)
        follows = np.ones_like(follows)  # each is too noisy; all together are not
    estimate = _estimate_lag(fit, _find_lag(curves, follows), follows, data.rate_hz)
    return replace(found, estimate=estimate)


def _list_lags(rate_hz: float) -> Array:
    first, last = (round(limit * rate_hz) for limit in SEARCHED_S)
    return np.arange(first, last + 1, _LAG_STEP_FRAMES)


def _compute_unrelated(fit: LagFit, data: PairedData) -> Array:
    """Return r (lags, n) at lags of 20 s and more, at which activity cannot follow.

    r counts all frames, of which a lag leaves fewer; without that it would be as here.
    """
    near = np.array(_UNRELATED_NEAR_S)
    lags_s = [blocks * BLOCK_S + near for blocks in _UNRELATED_BLOCKS]
    lags = np.round(np.concatenate(lags_s) * data.rate_hz).astype(int)
    share = np.abs(lags) / len(data)
    is_used = share <= _MAX_UNRELATED_SHARE
    r = fit.compute_curves(lags[is_used]).r.mean((0, 1))
    return np.asarray(r / np.sqrt(1 - share[is_used])[:, None])


def _find_following(curves: LagCurves, unrelated: Array) -> Array:
    """Return (n,) bool: the best lag of a neuron beats what unrelated lags give."""
    best = curves.r.mean((0, 1)).max(0)
    middle = np.median(unrelated)
    spread = _MAD_TO_SD * np.median(np.abs(unrelated - middle))
    return np.asarray(best > middle + _MIN_Z * spread)


def _is_mean_related(curves: LagCurves, unrelated: Array) -> bool:
    """Return whether the mean over neurons at its best lag beats unrelated lags."""
    best = curves.r.mean((0, 1)).mean(-1).max()
    means = unrelated.mean(-1)
    least = max(_MIN_MEAN_R, _MIN_MEAN_Z * means.std())
    return bool(best - means.mean() > least)


def _find_offset_by_prediction(data: PairedData) -> float | None:
    """Return the offset of seconds at which all neurons together follow, or None.

    It finds offsets in short records of weak neurons, and `find_distant_offset` larger
    ones in long records. The newest minutes decide: the time grows with each.
    """
    n_frames = round(_MAX_PREDICTED_S * data.rate_hz)
    newest = replace(
        data, features=data.features[-n_frames:], activity=data.activity[-n_frames:]
    )
    fit = LagFit(newest)
    first, last = (round(limit * data.rate_hz) for limit in _PREDICTED_S)
    curves = fit.compute_curves(np.arange(first, last + 1, _OFFSET_STEP_FRAMES))
    if not _is_mean_related(curves, _compute_unrelated(fit, newest)):
        return None
    everybody = np.ones(curves.r.shape[-1], bool)
    return _find_lag(curves, everybody) / data.rate_hz


def _find_lag(curves: LagCurves, follows: Array) -> float:
    """Return the lag in frames at which the following neurons are predicted best."""
    return _find_peak(curves.lags_frames, curves.r.mean((0, 1))[:, follows].mean(-1))


def _estimate_lag(
    fit: LagFit, lag_frames: float, follows: Array, rate_hz: float
) -> LagEstimate:
    reach = round(_HALF_REACH_S * rate_hz)
    fitted = round(lag_frames)
    near = fit.compute_shifted_curves(
        fitted, np.arange(fitted - reach, fitted + reach + 1)
    )
    parts = near.r[..., follows].mean(-1)  # (halves, folds, lags)
    lags_s = np.array(
        [[_find_peak(near.lags_frames, curve) for curve in half] for half in parts]
    )
    lags_s /= rate_hz
    of_halves = lags_s.mean(1)
    error_s = float(np.sqrt(np.var(lags_s, axis=1, ddof=1).mean() / lags_s.size))
    return LagEstimate(
        lag_s=lag_frames / rate_hz,
        error_s=error_s,
        drift_s=float(of_halves[1] - of_halves[0]),
        drift_error_s=2 * error_s,
    )


def _find_peak(lags: Array, curve: Array) -> float:
    """Return the lag of the largest value, between samples by a parabola."""
    top = int(np.clip(np.argmax(curve), 1, len(curve) - 2))
    before, at, after = curve[top - 1 : top + 2].tolist()
    curvature = before - 2 * at + after
    shift = 0.5 * (before - after) / curvature if curvature < 0 else 0.0
    return float(lags[top] + np.clip(shift, -0.5, 0.5) * (lags[1] - lags[0]))
