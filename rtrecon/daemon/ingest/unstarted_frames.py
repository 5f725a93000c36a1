"""Counts frames that arrive before the start of their session, as after a restart."""

from __future__ import annotations

from dataclasses import dataclass

from rtrecon.daemon.ingest.sender_sequences import MAX_COUNTED_SENDERS
from rtrecon.protocol import messages


@dataclass
class UnstartedFrames:
    """Frames that arrived before the start of their session.

    dropped_at_first: frames that the sender had dropped before the first of them.
    n_lost: messages of that sender that were missing before them.
    """

    n_frames: int = 0
    dropped_at_first: int | None = None
    n_lost: int = 0


class UnstartedSessions:
    """The frames of sessions whose start has not arrived; the oldest are forgotten."""

    def __init__(self) -> None:
        self._frames: dict[str, UnstartedFrames] = {}

    def add_frame(self, frame: messages.Frame, n_lost: int) -> None:
        """Count a frame, and the messages of its sender that were lost before it."""
        if frame.session not in self._frames:
            if len(self._frames) >= MAX_COUNTED_SENDERS:
                del self._frames[next(iter(self._frames))]
            self._frames[frame.session] = UnstartedFrames(0, frame.dropped)
        counted = self._frames[frame.session]
        counted.n_frames += 1
        counted.n_lost += n_lost

    def pop_frames(self, session: str) -> UnstartedFrames:
        """Return the counts of a session that starts now, and forget them."""
        return self._frames.pop(session, UnstartedFrames())
