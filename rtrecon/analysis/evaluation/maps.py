"""Where on the screen the movie was recovered, and in which state of the mouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rtrecon.analysis.evaluation.scores import FEWEST_FRAMES, Made
from rtrecon.core.types import Array

_LEAST_VARIANCE = 1e-6  # gray levels squared; a pixel that never changed has none


def recovered(made: Sequence[Made], frames: Sequence[Array]) -> Array | None:
    """Return (36, 64) 0..1: share of each pixel's variance that was recovered.

    frames: (T,) bool of each clip, those to count, if they are settled. None where
    there are too few with a stimulus.
    """
    pairs = [
        one.compared(one.counted() & own) for one, own in zip(made, frames, strict=True)
    ]
    movie, shown = (np.concatenate(part) for part in zip(*pairs, strict=True))
    if len(movie) < FEWEST_FRAMES:
        return None
    spread = np.maximum(shown.var(0), _LEAST_VARIANCE)
    return np.clip(1 - np.square(movie - shown).mean(0) / spread, 0, 1)


def identifiability(made: Sequence[Made]) -> Array | None:
    """Return what was recovered over all frames."""
    return recovered(made, [np.ones(len(one.movie), bool) for one in made])


def by_state(
    made: Sequence[Made], states: Mapping[str, Sequence[Array]]
) -> dict[str, Array]:
    """Return what was recovered in each state in which the mouse was long enough."""
    maps = {name: recovered(made, frames) for name, frames in states.items()}
    return {name: found for name, found in maps.items() if found is not None}
