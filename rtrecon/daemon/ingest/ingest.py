"""Decides what to do with each received message, and counts what was lost before it.

There are no sockets and no clock here: the caller gives decoded messages.
"""

from __future__ import annotations

from collections import defaultdict, deque

from rtrecon.daemon.ingest.counts import IngestCounts
from rtrecon.daemon.ingest.frame_faults import (
    check_order,
    describe_layout,
    find_misfit,
)
from rtrecon.daemon.ingest.result import IngestAction, IngestResult
from rtrecon.daemon.ingest.sender_sequences import SenderSequences
from rtrecon.daemon.ingest.unstarted_frames import UnstartedSessions
from rtrecon.protocol import messages

MAX_ENDED_SESSIONS = 64  # remembered, so that they are refused

_Stream = tuple[int, int]  # channel, plane


class Ingest:
    """Follows one session, its image streams, and the message counter of each sender.

    session_start: the first message of the present session. A stream is one channel of
    one plane, as the start names them; all must be of the first frame's scan field.
    Frames before their start are refused; senders repeat the start about every second.
    Stimulus and behaviour may come from other senders, whose sessions never start.
    Frames of another session are refused, and count in no session but their own.
    """

    def __init__(self) -> None:
        self.session_start: messages.SessionStart | None = None
        self._dropped_at_first: int | None = None  # by the sender, before the first
        self.counts = IngestCounts()
        self._newest: dict[_Stream, messages.Frame] = {}
        # Messages that are missing since the newest frame of each stream.
        self._n_missing: defaultdict[_Stream, int] = defaultdict(int)
        self._sequences = SenderSequences()
        self._ended_sessions: deque[str] = deque(maxlen=MAX_ENDED_SESSIONS)
        self._n_undecodable = 0  # messages since the last one with a `seq`
        self._unstarted = UnstartedSessions()

    def accept_message(self, message: messages.IncomingMessage) -> IngestResult:
        """Decide what to do with the next message, and update the counters."""
        if isinstance(message, messages.SessionStart):
            return self._accept_start(message)
        if isinstance(message, messages.Frame) and not self._is_current(message):
            return self._refuse(self._count_other_session(message))
        lost = self._count_missing(message)
        if isinstance(message, messages.Frame):
            return self._accept_frame(message, lost)
        if isinstance(message, messages.SessionEnd):
            return self._accept_end(message, lost)
        return IngestResult(IngestAction.AUXILIARY, lost_in_network=lost)

    def is_new_session(self, start: messages.SessionStart) -> bool:
        """Return whether this start begins another session than the present one."""
        has_ended = start.session in self._ended_sessions
        return not has_ended and not self._is_current(start)

    def count_undecodable(
        self, reason: str, frame_session: str | None = None
    ) -> IngestResult:
        """Count a message that could not be decoded; reason: why.

        frame_session: the session of a frame, "" where it cannot be read; None for
        other messages.
        """
        self._n_undecodable += 1
        present = self.session_start.session if self.session_start else ""
        self.counts.frames_unreadable += frame_session in ("", present)
        return self._refuse(reason)

    def count_refused(
        self, message: messages.IncomingMessage, reason: str
    ) -> IngestResult:
        """Count a message that was decoded but is refused; reason: why."""
        return self._refuse(reason, self._count_missing(message))

    def _accept_start(self, start: messages.SessionStart) -> IngestResult:
        if start.session in self._ended_sessions:
            return self._refuse(
                f"session {start.session} has ended, but its sender starts it again; "
                "stop one of the two senders"
            )
        if self.is_new_session(start):
            self._begin_session(start)
            return IngestResult(IngestAction.SESSION)
        assert self.session_start is not None
        lost = self._count_missing(start)
        if (start.shape, start.dtype) != (
            self.session_start.shape,
            self.session_start.dtype,
        ):
            return self._refuse(
                f"start changes {describe_layout(self.session_start)} to "
                f"{describe_layout(start)} within a session; the sender must begin a "
                "new session",
                lost,
            )
        return IngestResult(IngestAction.IGNORE, lost_in_network=lost)

    def _begin_session(self, start: messages.SessionStart) -> None:
        if self.session_start is not None:
            self._ended_sessions.append(self.session_start.session)
            self._sequences.forget(self.session_start.session)
        # Its frames that arrived before the start were lost to this session.
        unstarted = self._unstarted.pop_frames(start.session)
        self.session_start = start
        self.counts = IngestCounts(
            frames_received=unstarted.n_frames,
            rejected_messages=unstarted.n_frames,
            lost_in_network=unstarted.n_lost,
        )
        self._dropped_at_first = unstarted.dropped_at_first
        self._newest.clear()
        self._n_missing.clear()
        self._n_undecodable = 0
        self._count_missing(start)

    def _accept_end(self, end: messages.SessionEnd, lost: int) -> IngestResult:
        if not self._is_current(end):
            return IngestResult(IngestAction.IGNORE, lost_in_network=lost)
        # A daemon that was started during the session has not seen its first frames.
        if self.session_start and self.session_start.seq == 0:
            self.counts.frames_sent = end.frames
        if self._dropped_at_first is None and self.session_start:
            # Without a frame: all were dropped, by a sender that this daemon knows
            # from its beginning, or before this daemon was there.
            self._dropped_at_first = 0 if self.session_start.seq == 0 else end.dropped
        self._count_dropped(end.dropped)
        return IngestResult(IngestAction.END, lost_in_network=lost)

    def _accept_frame(self, frame: messages.Frame, lost: int) -> IngestResult:
        self.counts.frames_received += 1
        dropped_earlier = self._count_dropped(frame.dropped)
        stream = frame.channel, frame.plane
        newest = self._newest.get(stream)
        if newest and (frame.frame, frame.roi) == (newest.frame, newest.roi):
            self.counts.frames_repeated += 1
            return IngestResult(IngestAction.IGNORE, lost_in_network=lost)
        if fault := self._find_fault(frame, newest):
            # It did arrive: the gap in `frame` that it leaves is no loss.
            self._add_missing(1, [stream] if newest else list(self._newest))
            return self._refuse(fault, lost)
        missing = frame.frame - newest.frame - 1 if newest else 0
        lost_source = max(0, missing - self._n_missing.pop(stream, 0))
        self._newest[stream] = frame
        self.counts.lost_at_source += lost_source
        self.counts.frames_accepted += 1
        return IngestResult(
            IngestAction.FRAME,
            lost_in_network=lost,
            lost_at_source=lost_source,
            dropped_earlier=dropped_earlier,
        )

    def _count_dropped(self, n_dropped: int) -> int:
        """Learn how many frames the sender has dropped since it began.

        Returns once how many of these it had dropped before this daemon's first frame.
        """
        if self._dropped_at_first is None:
            self._dropped_at_first = n_dropped
        counts = self.counts
        is_first = counts.dropped_earlier < self._dropped_at_first
        counts.dropped_earlier = self._dropped_at_first
        counts.frames_dropped = max(counts.frames_dropped, n_dropped)
        return counts.dropped_earlier if is_first else 0

    def _count_other_session(self, frame: messages.Frame) -> str:
        """Count a frame that is not of the present session; return why it is refused.

        A session that has ended can still have frames in the queues between its sender
        and this daemon. Without a session, frames count as received, so that a display
        shows that they arrive.
        """
        if self.session_start is None:
            self.counts.frames_received += 1
        if frame.session in self._ended_sessions:
            return (
                f"frames of session {frame.session}, which has ended because another "
                "one began"
            )
        self._unstarted.add_frame(frame, self._sequences.count_absent(frame))
        return "frames of a session that has not started"

    def _find_fault(self, frame: messages.Frame, newest: messages.Frame | None) -> str:
        start = self.session_start
        assert start is not None
        field = next(iter(self._newest.values()), frame).roi
        fault = find_misfit(frame, start, field)
        if newest and not fault:
            fault = check_order(frame, newest, start.rate_hz)
        return fault

    def _count_missing(self, message: messages.IncomingMessage) -> int:
        """Count, and return, how many of the sender's messages are missing."""
        if message.session in self._ended_sessions:
            return 0
        absent = self._sequences.count_absent(message)
        # Undecodable messages did arrive, and are counted as refused already.
        lost = max(0, absent - self._n_undecodable)
        self._n_undecodable = 0
        self.counts.lost_in_network += lost
        if self._is_current(message):
            self._add_missing(absent, list(self._newest))  # of which stream is unknown
        return lost

    def _add_missing(self, count: int, streams: list[_Stream]) -> None:
        for stream in streams:
            self._n_missing[stream] += count

    def _is_current(self, message: messages.IncomingMessage) -> bool:
        return (
            self.session_start is not None
            and message.session == self.session_start.session
        )

    def _refuse(self, sentence: str, lost: int = 0) -> IngestResult:
        self.counts.rejected_messages += 1
        return IngestResult(IngestAction.REFUSED, sentence, lost)
