"""Measures on a recorded session whether its neurons follow its stimulus."""

from __future__ import annotations

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.metrics.stimulus_lag.paired_data import (
    PairedData,
    compute_stimulus_features,
    pair_data,
)
from rtrecon.metrics.stimulus_lag.repeats import hash_frames
from rtrecon.metrics.stimulus_lag.stimulus_lag import StimulusLag, measure_stimulus_lag
from rtrecon.session.session import Session

MIN_MINUTES = 2.0  # less says nothing
_MAX_NEURONS = 300  # spread evenly over all; more change nothing but the time
_BLOCK_ROWS = 3000


class TooShortError(UserError):
    """Stimulus and activity are missing, or too short to be compared."""


def measure_session_lag(session: Session) -> StimulusLag:
    """Measure it; TooShortError if stimulus or activity are missing or too short."""
    data, frame_ids = _pair_session(session)
    minutes = data.n_known / data.rate_hz / 60
    if minutes < MIN_MINUTES:
        raise TooShortError(
            f"{session.path} has both stimulus and activity in {minutes:.1f} minutes; "
            f"{MIN_MINUTES:g} are needed to see whether neurons follow the stimulus"
        )
    return measure_stimulus_lag(data, frame_ids)


def _pair_session(session: Session) -> tuple[PairedData, Array]:
    """Return the session on one time base, and ids of its stimulus frames."""
    activity_frames = session.activity["encoder_frame"].astype(np.int64)
    stimulus_frames = session.stimulus["encoder_frame"].astype(np.int64)
    both = np.intersect1d(activity_frames, stimulus_frames)
    if not len(both):
        raise TooShortError(
            f"{session.path} has no encoder frame with both stimulus and activity; "
            "record a session with masks, and send the stimulus"
        )
    first, n_frames = int(both[0]), int(both[-1] - both[0]) + 1
    features, frame_ids = _read_stimulus(session, stimulus_frames - first, n_frames)
    activity = _read_activity(session, activity_frames - first, n_frames)
    return pair_data(features, activity, session.about.encoder_rate_hz), frame_ids


def _read_stimulus(
    session: Session, frames: Array, n_frames: int
) -> tuple[Array, Array]:
    """Return features (n_frames, p), NaN where unknown, and frame ids (n_frames,)."""
    frame_ids = np.zeros(n_frames, np.uint64)
    features: Array | None = None
    for start in range(0, len(frames), _BLOCK_ROWS):
        rows = frames[start : start + _BLOCK_ROWS]
        movie = session.stimulus.read_values(start, start + len(rows))
        is_inside = (rows >= 0) & (rows < n_frames)
        block = compute_stimulus_features(movie[is_inside])
        if features is None:
            features = np.full((n_frames, block.shape[1]), np.nan, np.float32)
        features[rows[is_inside]] = block
        frame_ids[rows[is_inside]] = hash_frames(movie[is_inside])
    assert features is not None
    return features, frame_ids


def _read_activity(session: Session, frames: Array, n_frames: int) -> Array:
    """Return activity (n_frames, n) of some neurons, NaN where unknown."""
    n_neurons = len(session.about.neuron_ids)
    chosen = np.unique(np.linspace(0, n_neurons - 1, _MAX_NEURONS).astype(int))
    activity = np.full((n_frames, len(chosen)), np.nan, np.float32)
    for start in range(0, len(frames), _BLOCK_ROWS):
        rows = frames[start : start + _BLOCK_ROWS]
        values = session.activity.read_values(start, start + len(rows))
        is_inside = (rows >= 0) & (rows < n_frames)
        activity[rows[is_inside]] = values[is_inside][:, chosen]
    return activity
