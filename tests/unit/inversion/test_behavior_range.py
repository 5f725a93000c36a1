"""Behaviour that no training saw is told, once, and not while it passes."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.inversion.live.behavior_range import WINDOW_FRAMES, Unlike
from rtrecon.protocol.behavior import BEHAVIOR

HOP = 5
PUPIL_X = BEHAVIOR.index("pupil_x")


def frames(share: float, n: int = WINDOW_FRAMES) -> np.ndarray:
    """The pupil's x lies outside in this share of frames."""
    outside = np.zeros((n, len(BEHAVIOR)), bool)
    outside[:, PUPIL_X] = np.random.default_rng(0).random(n) < share
    return outside


def heard(unlike: Unlike, outside: np.ndarray) -> list[str]:
    return [
        sentence
        for start in range(0, len(outside), HOP)
        for sentence in unlike.sentences(outside[start : start + HOP])
    ]


@pytest.mark.parametrize(
    ("share", "times"), [(0.0, 0), (0.3, 0), (0.7, 1), (1.0, 1)], ids=str
)
def test_it_is_told_once_and_by_name_where_most_is_outside(share, times):
    told = heard(Unlike(), np.concatenate([frames(share)] * 4))
    assert len(told) == times
    assert all(sentence.startswith("pupil x is unlike all") for sentence in told)


def test_a_short_run_is_nothing_to_tell():
    assert heard(Unlike(), frames(1.0, WINDOW_FRAMES // 3)) == []


def test_it_is_told_again_when_it_comes_back_and_not_when_it_wavers():
    unlike, often, less, never = Unlike(), frames(0.7), frames(0.3), frames(0.0)
    parts = often, less, often, never, often
    counts = [len(heard(unlike, part)) for part in parts]
    assert counts == [1, 0, 0, 0, 1]
