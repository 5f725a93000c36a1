"""Scores by behaviour: running or still, large or small pupil."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rtrecon.analysis.evaluation.scores import MIN_SCORED_FRAMES, ClipResult, ClipScorer
from rtrecon.analysis.evaluation.statistic import StatisticTable, summarize_scores
from rtrecon.core.types import Array
from rtrecon.protocol.behavior import BEHAVIOR, BehaviorName

MIN_RUNNING_CM_S = 1.0  # faster is running
_FIGURES = ("visual_field_r", "video_r", "frame_r", "contrast", "held_out_r")

StateFrames = dict[
    str, list[Array]
]  # frames (T,) bool of each clip, by name of the state


def has_behavior(made: Sequence[ClipResult]) -> bool:
    """Whether any behaviour was measured; simulated units of a sense have none."""
    return any(np.isfinite(one.clip.target.behavior).any() for one in made)


def split_by_state(made: Sequence[ClipResult]) -> StateFrames:
    """Split the frames of clips at 1 cm/s, and at the median pupil size.

    Frames without a measurement are in neither part.
    """
    pupil, speed = (
        _behavior_of_clips(made, "pupil_dilation"),
        _behavior_of_clips(made, "running_speed"),
    )
    middle = _finite_median(pupil)
    return {
        "running": [v > MIN_RUNNING_CM_S for v in speed],
        "still": [v <= MIN_RUNNING_CM_S for v in speed],
        "pupil large": [v > middle for v in pupil],
        "pupil small": [v <= middle for v in pupil],
    }


def score_by_state(made: Sequence[ClipResult], scorer: ClipScorer) -> StatisticTable:
    """Return scores of the frames of each state, over clips that have enough."""
    return {
        name: summarize_scores(
            _score_clips(made, frames, scorer), _missing_reasons(name)
        )
        for name, frames in split_by_state(made).items()
    }


def _score_clips(
    made: Sequence[ClipResult], frames: Sequence[Array], scorer: ClipScorer
) -> list[Mapping[str, float]]:
    return [scorer.score_main(one, own) for one, own in zip(made, frames, strict=True)]


def _missing_reasons(state: str) -> dict[str, str]:
    why = f"no clip has {MIN_SCORED_FRAMES} scored frames in the state '{state}'"
    return dict.fromkeys(_FIGURES, why)


def _behavior_of_clips(made: Sequence[ClipResult], name: BehaviorName) -> list[Array]:
    column = BEHAVIOR.index(name)
    return [np.asarray(one.clip.target.behavior)[:, column] for one in made]


def _finite_median(parts: Sequence[Array]) -> float:
    known = np.concatenate(parts)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else np.nan
