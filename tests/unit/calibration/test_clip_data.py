"""Training data of the clips of a running session."""

from __future__ import annotations

import numpy as np
import torch

from rtrecon.calibration.clip_data import count_missing_frames, make_clip_data
from rtrecon.calibration.clips import ClipRole
from rtrecon.calibration.recorded_minutes import RecordedMinutes, RecordedRows
from rtrecon.rois.roi_set import build_roi_set
from rtrecon.session.about import About
from rtrecon.training.training_data import TrainedNeurons
from tests.unit.calibration.test_clips import make_clip

N_CLIPS, N_NEURONS = 16, 3


def make_minutes(behavior: float) -> RecordedMinutes:
    ids = list(range(N_NEURONS))
    minutes = RecordedMinutes(About(session="s", roi_ids=ids, neuron_ids=ids), [])
    movie = np.concatenate([make_clip(seed) for seed in range(N_CLIPS + 1)])
    n = len(movie)
    activity = np.random.default_rng(0).poisson(0.1, (n, N_NEURONS))
    rows = RecordedRows(
        np.arange(n),
        movie,
        np.full((n, 4), behavior, np.float32),
        activity.astype(np.float32),
    )
    minutes._append(rows)
    return minutes


def make_neurons() -> TrainedNeurons:
    spot = (np.array([4]), np.array([4]), np.ones(1, np.float32))
    rois = build_roi_set(np.arange(N_NEURONS), (16, 16), [spot] * N_NEURONS)
    return TrainedNeurons(rois, None)


def test_a_session_without_any_behavior_can_be_trained_on():
    data = make_clip_data(make_minutes(np.nan), make_neurons())
    for part in (data.training.training, data.training.validation, data.judging):
        assert torch.isfinite(part.behavior).all()
        assert len(part) > 0


def test_clips_that_are_kept_out_are_in_one_part_only():
    minutes = make_minutes(0.5)
    assert count_missing_frames(minutes.clips) == 0
    data = make_clip_data(minutes, make_neurons())
    n_frames = {role: minutes.clips.frames_of(role) for role in ClipRole}
    assert len(data.training.training) == n_frames[ClipRole.TRAINING]
    assert len(data.training.validation) == n_frames[ClipRole.VALIDATION]
    assert len(data.judging) == n_frames[ClipRole.JUDGING]
