"""The queue of activity: ordered, without gaps, bounded."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.inversion.live.backlog import Backlog, QueuedActivity
from rtrecon.protocol import messages

N, WINDOW = 5, 12


def activity_at(index):
    header = messages.Activity(
        session="s", seq=0, t=0.0, encoder_frame=index, frame=0, t_frame=0.0
    )
    return QueuedActivity(header, np.full(N, index, np.float32))


# indices that arrive -> indices in the queue (negative: filled with NaN), and how many
# were skipped; the queue holds 12 frames
ARRIVALS = {
    "in order": ([5, 6, 7], [5, 6, 7], 0),
    "with a gap": ([1, 2, 5], [1, 2, -3, -4, 5], 0),
    "twice": ([1, 2, 2, 3], [1, 2, 3], 0),
    "too late": ([1, 2, 4, 3], [1, 2, -3, 4], 0),
    "too many": (range(15), range(3, 15), 3),
    "after a long gap": ([0, 1, 100], [*range(-89, -99, -1), -99, 100], 3),
    "from the middle": ([1000], [1000], 0),
}


@pytest.mark.parametrize("case", ARRIVALS)
def test_activity_is_queued_in_order_and_gaps_are_filled(case):
    arriving, queued, skipped = ARRIVALS[case]
    backlog = Backlog(WINDOW)
    for index in arriving:
        backlog.push(activity_at(index))
    assert len(backlog) == len(queued)
    popped = backlog.pop_oldest(len(backlog))
    assert [s.header.encoder_frame for s in popped] == [abs(index) for index in queued]
    for found, index in zip(popped, queued, strict=True):
        expected = np.full(N, index if index >= 0 else np.nan)
        np.testing.assert_array_equal(found.values, expected)
    assert backlog.skipped == skipped


def test_the_oldest_frames_are_removed_first():
    backlog = Backlog(WINDOW)
    for index in range(10):
        backlog.push(activity_at(index))
    assert [s.header.encoder_frame for s in backlog.pop_oldest(6)] == list(range(6))
    assert len(backlog) == 4
    assert [s.header.encoder_frame for s in backlog.pop_oldest(6)] == list(range(6, 10))
    assert backlog.pop_oldest(6) == []


def test_the_queue_never_grows_beyond_its_limit():
    backlog = Backlog(WINDOW)
    for index in range(0, 5000, 2):
        backlog.push(activity_at(index))
        assert len(backlog) <= WINDOW
    assert backlog.skipped == 4999 - WINDOW
