"""Maps of the screen: where the reconstruction recovered the stimulus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rtrecon.analysis.evaluation.scores import MIN_SCORED_FRAMES, ClipResult
from rtrecon.core.types import Array

_MIN_VARIANCE = 1e-6  # gray levels squared; a pixel that never changed has none


def map_recovered_variance(
    made: Sequence[ClipResult], frames: Sequence[Array]
) -> Array | None:
    """Return (36, 64) 0..1: share of each pixel's variance that was recovered.

    frames: (T,) bool of each clip, those to count, if they are settled. None where
    there are too few with a stimulus.
    """
    pairs = [
        one.pair_with_stimulus(one.select_scored_frames() & own)
        for one, own in zip(made, frames, strict=True)
    ]
    movie, shown = (np.concatenate(part) for part in zip(*pairs, strict=True))
    if len(movie) < MIN_SCORED_FRAMES:
        return None
    spread = np.maximum(shown.var(0), _MIN_VARIANCE)
    return np.clip(1 - np.square(movie - shown).mean(0) / spread, 0, 1)


def map_identifiability(made: Sequence[ClipResult]) -> Array | None:
    """Return the recovered share of variance over all frames."""
    return map_recovered_variance(made, [np.ones(len(one.movie), bool) for one in made])


def map_by_state(
    made: Sequence[ClipResult], states: Mapping[str, Sequence[Array]]
) -> dict[str, Array]:
    """Return a map for each state of the mouse that has enough frames."""
    maps = {
        name: map_recovered_variance(made, frames) for name, frames in states.items()
    }
    return {name: found for name, found in maps.items() if found is not None}
