"""Which frames are learned from, and which are kept to judge what was learned."""

from __future__ import annotations

from rtrecon.training.training_data import Stretch

SETTLE_FRAMES = 300  # left out at a session's start, while baselines find their level
LEAST_VALIDATION_FRAMES = 300


def validation_frames(n_frames: int) -> int:
    """Return how many of the last frames are kept: a tenth, but enough to judge by."""
    return max(LEAST_VALIDATION_FRAMES, n_frames // 10)


def keep_last(stretches: list[Stretch], n_frames: int) -> tuple[list[Stretch], ...]:
    """Return (first, last): the last `n_frames` frames apart from those before them."""
    first: list[Stretch] = list(stretches)
    last: list[Stretch] = []
    while first and n_frames > 0:
        stretch = first.pop()
        cut = max(0, len(stretch) - n_frames)
        n_frames -= len(stretch)
        last.insert(0, stretch.part(cut, len(stretch)))
        if cut:
            first.append(stretch.part(0, cut))
    return first, last
