"""Figures of a reconstruction where the neurons look, beside a still movie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.core.types import Array
from rtrecon.encoder.card import find_checkpoint
from rtrecon.encoder.checkpoint import Checkpoint, load_checkpoint
from rtrecon.encoder.dwiseneuro.convert import is_dwiseneuro_file
from rtrecon.encoder.sensitivity import find_visual_field, get_mean_frame
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.results import count_skipped_frames, round_for_json
from rtrecon.metrics.similarity import frame_correlation, video_correlation
from rtrecon.metrics.structural_similarity import structural_similarity

_FIGURES = (
    "visual_field_share",
    "visual_field_correlation",
    "visual_field_frame_correlation",
    "visual_field_structural_similarity",
    "mean_frame_visual_field_correlation",
    "visual_field_correlation_by_lag_s",
)


def compute_visual_field_figures(
    clip: Clip, movie: Array, by_lag: Mapping[int, Array], encoder: Path
) -> dict[str, Any]:
    """Return the movie's similarity with the stimulus where the neurons look.

    Beside it is that of a still movie, the mean frame of the training movies. All
    figures are None for a published encoder, which has neither a prior nor a
    calibration, and without a stimulus.
    """
    file = find_checkpoint(str(encoder))
    if clip.stimulus is None or is_dwiseneuro_file(file):
        return dict.fromkeys(_FIGURES)
    checkpoint = load_checkpoint(file)
    return _compare_movies(clip, movie, by_lag, checkpoint)


def _compare_movies(
    clip: Clip, movie: Array, by_lag: Mapping[int, Array], checkpoint: Checkpoint
) -> dict[str, Any]:
    assert clip.stimulus is not None
    first, visual_field = count_skipped_frames(movie), find_visual_field(checkpoint)
    made, stimulus = movie[first:], clip.stimulus[first:]
    still = np.repeat(get_mean_frame(checkpoint)[None], len(stimulus), 0)
    known = np.isfinite(made).all((1, 2)) & np.isfinite(stimulus).all((1, 2))

    def correlate(frames: Array) -> float | None:
        return round_for_json(video_correlation(frames, stimulus, visual_field))

    values = (
        round(float(visual_field.mean()), 3),
        correlate(made),
        round_for_json(frame_correlation(made, stimulus, visual_field)),
        round_for_json(
            structural_similarity(made[known], stimulus[known], visual_field)
        )
        if clip.space.is_picture
        else None,
        correlate(still),
        {
            f"{lag / clip.rate_hz:.2f}": correlate(younger[first:])
            for lag, younger in by_lag.items()
        },
    )
    return dict(zip(_FIGURES, values, strict=True))
