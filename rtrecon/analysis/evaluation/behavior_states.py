"""What the mouse was doing: frames told apart by running and by its pupil."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rtrecon.analysis.evaluation.figure import Table, row
from rtrecon.analysis.evaluation.scores import FEWEST_FRAMES, Made, Scorer
from rtrecon.core.types import Array
from rtrecon.protocol.behavior import BEHAVIOR, Measured

RUNNING_CM_S = 1.0  # faster is running
_FIGURES = ("video_r", "frame_r", "contrast", "held_out_r")

States = dict[str, list[Array]]  # frames (T,) bool of each clip, by name of the state


def states(made: Sequence[Made]) -> States:
    """Split the frames of clips at 1 cm/s, and at the median of all their pupils.

    Frames at which it is not known are in neither part.
    """
    pupil, speed = _column(made, "pupil_dilation"), _column(made, "running_speed")
    middle = _median(pupil)
    return {
        "running": [v > RUNNING_CM_S for v in speed],
        "still": [v <= RUNNING_CM_S for v in speed],
        "pupil large": [v > middle for v in pupil],
        "pupil small": [v <= middle for v in pupil],
    }


def by_state(made: Sequence[Made], scorer: Scorer) -> Table:
    """Return figures of the frames of each state, over clips that have enough."""
    return {
        name: row(_scored(made, frames, scorer), _reasons(name))
        for name, frames in states(made).items()
    }


def _scored(
    made: Sequence[Made], frames: Sequence[Array], scorer: Scorer
) -> list[Mapping[str, float]]:
    return [scorer.scores(one, own) for one, own in zip(made, frames, strict=True)]


def _reasons(state: str) -> dict[str, str]:
    why = (
        f"no clip has {FEWEST_FRAMES} frames that are known to be '{state}' and can be "
        "judged"
    )
    return dict.fromkeys(_FIGURES, why)


def _column(made: Sequence[Made], name: Measured) -> list[Array]:
    column = BEHAVIOR.index(name)
    return [np.asarray(one.clip.target.behavior)[:, column] for one in made]


def _median(parts: Sequence[Array]) -> float:
    known = np.concatenate(parts)
    known = known[np.isfinite(known)]
    return float(np.median(known)) if len(known) else np.nan
