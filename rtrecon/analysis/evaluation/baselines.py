"""What the movie has to exceed on the same frames: a still movie, and ridge regression.

The third baseline, the inversion of exchanged neurons, is a condition of the replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from rtrecon.analysis.evaluation.ridge_baseline import decode_by_other_clips
from rtrecon.analysis.evaluation.scores import ClipResult
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.sensitivity import get_mean_frame
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.pixel_rates import standardize_behavior


def predict_activity(checkpoint: Checkpoint, clip: Clip, movie: Array) -> Array:
    """Return the activity (T, n) that a movie would cause during a clip.

    Before its first frame the movie is taken to show that same frame. NaN where a frame
    that the encoder needs is NaN.
    """
    encoder, calibration = checkpoint.encoder, checkpoint.calibration
    is_known = np.isfinite(movie).all((1, 2))
    frames = make_dct_basis(checkpoint.space).from_pixels(np.nan_to_num(movie))
    behavior = standardize_behavior(calibration, clip.target.behavior_tensor())
    frames, behavior = (
        torch.cat([part[:1].expand(encoder.past_frames, -1), part]).to(encoder.device)
        for part in (frames, behavior)
    )
    with torch.no_grad():
        activity = np.asarray(encoder.predict(frames, behavior).cpu().numpy())
    for index in np.flatnonzero(~is_known).tolist():
        activity[index : index + encoder.past_frames + 1] = np.nan
    return activity


def show_mean_frame(checkpoint: Checkpoint, clips: Sequence[Clip]) -> list[ClipResult]:
    """Return the mean frame of the training movies as the still movie of each clip."""
    mean_frame = get_mean_frame(checkpoint)
    return [
        _make_result(checkpoint, clip, np.repeat(mean_frame[None], len(clip.target), 0))
        for clip in clips
    ]


def decode_by_ridge(
    checkpoint: Checkpoint, clips: Sequence[Clip], held_out: Array
) -> list[ClipResult]:
    """Decode each clip by ridge regression on the other clips; [] if there are none.

    held_out: (n,) bool, neurons that ridge regression does not use either.
    """
    used = [
        replace(clip, target=replace(clip.target, used_neurons=~held_out))
        for clip in clips
    ]
    movies = decode_by_other_clips(used)
    return [
        _make_result(checkpoint, clip, movie)
        for clip, movie in zip(clips, movies, strict=False)
    ]


def _make_result(checkpoint: Checkpoint, clip: Clip, movie: Array) -> ClipResult:
    return ClipResult(clip, movie, predict_activity(checkpoint, clip, movie))
