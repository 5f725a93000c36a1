"""Queue of activity that waits for its hop."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol import messages


@dataclass(frozen=True)
class QueuedActivity:
    """One encoder frame of activity, as the daemon published it; values (n,)."""

    header: messages.Activity
    values: Array


class Backlog:
    """Activity that waits for its hop, by encoder frame; gaps are filled with NaN.

    Holds at most `max_frames`. When more arrive, the oldest are dropped, because they
    have left the window anyway; `skipped` counts them.
    """

    def __init__(self, max_frames: int) -> None:
        self.skipped = 0
        self._max_frames = max_frames
        self._queue: list[QueuedActivity] = []
        self._next_frame: int | None = None

    def __len__(self) -> int:
        return len(self._queue)

    def push(self, activity: QueuedActivity) -> None:
        """Append activity; ignore it if it is not newer than the last."""
        encoder_frame = activity.header.encoder_frame
        if self._next_frame is None:
            n_missing = 0
        elif encoder_frame < self._next_frame:
            return
        else:
            n_missing = min(encoder_frame - self._next_frame, self._max_frames)
        self._queue += [*_missing_before(activity, n_missing), activity]
        self._next_frame = encoder_frame + 1
        n_excess = len(self._queue) - self._max_frames
        if n_excess > 0:
            self.skipped += n_excess
            del self._queue[:n_excess]

    def pop_oldest(self, count: int) -> list[QueuedActivity]:
        """Remove and return the oldest `count`, or fewer if there are fewer."""
        oldest, self._queue = self._queue[:count], self._queue[count:]
        return oldest


def missing_activity(n_neurons: int, n_frames: int) -> list[QueuedActivity]:
    """Return frames in which all activity is missing, for speed tests."""
    values = np.full(n_neurons, np.nan, np.float32)
    header = messages.Activity(
        session="", seq=0, t=0.0, encoder_frame=0, frame=0, t_frame=0.0
    )
    return [QueuedActivity(header, values)] * n_frames


def _missing_before(activity: QueuedActivity, count: int) -> list[QueuedActivity]:
    """Return `count` frames without activity that end just before `activity`."""
    values, end = np.full_like(activity.values, np.nan), activity.header.encoder_frame
    return [
        QueuedActivity(
            msgspec.structs.replace(activity.header, encoder_frame=encoder_frame),
            values,
        )
        for encoder_frame in range(end - count, end)
    ]
