"""Behaviour outside the training range is reported once per excursion."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.inversion.live.behavior_range import WINDOW_FRAMES, OutOfRangeMonitor
from rtrecon.protocol.behavior import BEHAVIOR

HOP = 5
PUPIL_X = BEHAVIOR.index("pupil_x")


def frames(share: float, n: int = WINDOW_FRAMES) -> np.ndarray:
    """Return frames in which pupil x is out of range with this probability."""
    outside = np.zeros((n, len(BEHAVIOR)), bool)
    outside[:, PUPIL_X] = np.random.default_rng(0).random(n) < share
    return outside


def report(monitor: OutOfRangeMonitor, outside: np.ndarray) -> list[str]:
    return [
        sentence
        for start in range(0, len(outside), HOP)
        for sentence in monitor.add_frames(outside[start : start + HOP])
    ]


@pytest.mark.parametrize(
    ("share", "times"), [(0.0, 0), (0.3, 0), (0.7, 1), (1.0, 1)], ids=str
)
def test_a_signal_that_is_mostly_out_of_range_is_reported_once(share, times):
    reported = report(OutOfRangeMonitor(), np.concatenate([frames(share)] * 4))
    assert len(reported) == times
    assert all(
        sentence.startswith("pupil x is out of the range") for sentence in reported
    )


def test_a_short_excursion_is_not_reported():
    assert report(OutOfRangeMonitor(), frames(1.0, WINDOW_FRAMES // 3)) == []


def test_a_second_excursion_is_reported_only_after_the_signal_was_in_range():
    monitor, often, less, never = (
        OutOfRangeMonitor(),
        frames(0.7),
        frames(0.3),
        frames(0.0),
    )
    parts = often, less, often, never, often
    counts = [len(report(monitor, part)) for part in parts]
    assert counts == [1, 0, 0, 0, 1]
