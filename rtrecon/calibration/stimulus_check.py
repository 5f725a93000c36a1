"""Says during a calibration whether the neurons follow the stimulus, and how late.

A wrong clock, wrong masks or a screen that is off spoil every minute that is recorded.
The check needs no encoder, so that it comes before the first training.
"""

from __future__ import annotations

import numpy as np

from rtrecon.calibration.recorded_minutes import RecordedRows
from rtrecon.core.types import Array
from rtrecon.metrics.stimulus_lag.paired_data import (
    compute_feature_blocks,
    pair_data,
    shorten_gaps,
)
from rtrecon.metrics.stimulus_lag.sentences import (
    describe_stimulus_lag,
    find_lag_warning,
)
from rtrecon.metrics.stimulus_lag.stimulus_lag import StimulusLag, measure_stimulus_lag

FIRST_MINUTES = 1.5  # of activity with a known stimulus; less says nothing
_MIN_NEW_MINUTES, _GROWTH = 0.5, 1.25  # until the next check; a long one takes longer
# Weak neurons need so long; an offset that was found is a reason to warn before.
_MIN_UNRELATED_MINUTES = 4.0
_MIN_MOVING_SHARE = 0.05  # of the frames; a picture that stands still has no lag
_MAX_NEURONS = 300  # spread evenly over all; more change nothing but the time


class StimulusCheck:
    """Compares activity and stimulus again and again, while minutes come in.

    found: the newest result, None before the first. warning: what is probably wrong, a
    sentence; "" if nothing is.
    """

    def __init__(self) -> None:
        self.found: StimulusLag | None = None
        self.warning = ""
        self._due_minutes = FIRST_MINUTES
        self._verdict: str | None = None  # that was reported

    def is_due(self, minutes: float) -> bool:
        """Return whether there are enough new minutes."""
        return minutes >= self._due_minutes

    def run(self, rows: RecordedRows, picture_ids: Array, rate_hz: float) -> str:
        """Compare all rows; return a sentence if the verdict is new, else "".

        picture_ids: uint64 (T,), equal where the pictures are equal.
        """
        minutes = len(picture_ids) / rate_hz / 60
        self._due_minutes = max(minutes + _MIN_NEW_MINUTES, minutes * _GROWTH)
        n_changes = int((picture_ids[1:] != picture_ids[:-1]).sum())
        if n_changes < _MIN_MOVING_SHARE * len(picture_ids):
            return ""
        self.found = measure_recorded_lag(rows, picture_ids, rate_hz)
        is_early = minutes < _MIN_UNRELATED_MINUTES
        is_undecided = _is_undecided(self.found, is_early)
        self.warning = "" if is_undecided else find_lag_warning(self.found)
        verdict = _name_verdict(self.found, self.warning)
        if verdict == self._verdict:
            return ""
        self._verdict = verdict
        return self.warning or "; ".join(describe_stimulus_lag(self.found))


def measure_recorded_lag(
    rows: RecordedRows, picture_ids: Array, rate_hz: float
) -> StimulusLag:
    """Measure how the neurons of the rows follow the stimulus."""
    at = shorten_gaps(rows.encoder_frames, rate_hz)
    n_frames, n_neurons = int(at[-1]) + 1, rows.activity.shape[1]
    chosen = np.unique(np.linspace(0, n_neurons - 1, _MAX_NEURONS).astype(int))
    features = compute_feature_blocks(rows.movie)
    on_grid, activity = (
        np.full((n_frames, n_columns), np.nan, np.float32)
        for n_columns in (features.shape[1], len(chosen))
    )
    on_grid[at], activity[at] = features, rows.activity[:, chosen]
    frame_ids = np.zeros(n_frames, np.uint64)
    frame_ids[at] = picture_ids
    return measure_stimulus_lag(pair_data(on_grid, activity, rate_hz), frame_ids)


def _is_undecided(found: StimulusLag, is_early: bool) -> bool:
    """Return whether neurons may follow that are too weak to be found so far."""
    return is_early and found.estimate is None and found.distant_offset_s is None


def _name_verdict(found: StimulusLag, warning: str) -> str:
    if found.estimate is None:
        return "unrelated" if warning else "undecided"
    return "wrong" if warning else "right"
