"""Decides what to do with each received message, and counts what was lost before it.

There are no sockets and no clock here: the caller gives decoded messages.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from enum import StrEnum

from rtrecon.protocol import messages
from rtrecon.sources.frame_renumbering import find_longest_pause

MAX_ENDED_SESSIONS = 64  # remembered, so that they are refused
MAX_COUNTED_SENDERS = 16  # microscope, stimulus program, cameras

_Stream = tuple[int, int]  # channel, plane


class IngestAction(StrEnum):
    """What to do with a message."""

    SESSION = "session"  # begin a new session, and end the one before
    FRAME = "frame"  # process it
    AUXILIARY = "auxiliary"  # stimulus, behaviour or sync: align it
    END = "end"  # the sender has ended the session
    IGNORE = "ignore"  # a repeated start or frame: nothing to do
    REFUSED = "refused"  # counted; `reason` says why


@dataclass(frozen=True)
class IngestResult:
    """What to do with a message, and what was lost just before it."""

    action: IngestAction
    reason: str = ""
    lost_in_network: int = 0  # messages
    lost_at_source: int = 0  # frames
    dropped_earlier: int = 0  # frames, before the first one that arrived


@dataclass
class IngestCounts:
    """The counters of one session; each frame is accepted, repeated or refused."""

    frames_received: int = 0  # frame messages
    frames_accepted: int = 0  # of these, to be processed
    rejected_messages: int = 0  # refused messages, frames and others
    lost_in_network: int = 0  # messages missing in `seq`
    lost_at_source: int = 0  # frames missing in `frame` with none missing in `seq`
    frames_unreadable: int = 0  # frame messages that could not be decoded
    frames_repeated: int = 0  # frames that were received again
    frames_dropped: int = 0  # frames that the sender could not send
    dropped_earlier: int = 0  # of these, before this daemon received its first frame
    frames_sent: int | None = None  # as the sender counts them; known at its end

    @property
    def dropped_now(self) -> int:
        """Frames that the sender could not send to this daemon."""
        return self.frames_dropped - self.dropped_earlier

    @property
    def frames_refused(self) -> int:
        """Frame messages that were refused."""
        return self.frames_received - self.frames_accepted - self.frames_repeated

    @property
    def gaps(self) -> messages.GapCounts:
        """The losses, as they are published."""
        return messages.GapCounts(
            self.lost_in_network, self.lost_at_source, self.frames_repeated
        )


@dataclass
class _UnstartedFrames:
    """Frames that arrived before the start of their session, as after a restart.

    dropped_at_first: frames that the sender had dropped before the first of them.
    n_lost: messages of that sender that were missing before them.
    """

    n_frames: int = 0
    dropped_at_first: int | None = None
    n_lost: int = 0


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
        self._newest_seq: dict[str, int] = {}  # by sender, oldest sender first
        self._ended_sessions: deque[str] = deque(maxlen=MAX_ENDED_SESSIONS)
        self._n_undecodable = 0  # messages since the last one with a `seq`
        # Frames of sessions whose start has not arrived yet, by session.
        self._unstarted: dict[str, _UnstartedFrames] = {}

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
                f"start changes {_describe_layout(self.session_start)} to "
                f"{_describe_layout(start)} within a session; the sender must begin a "
                "new session",
                lost,
            )
        return IngestResult(IngestAction.IGNORE, lost_in_network=lost)

    def _begin_session(self, start: messages.SessionStart) -> None:
        if self.session_start is not None:
            self._ended_sessions.append(self.session_start.session)
            self._newest_seq.pop(self.session_start.session, None)
        # Its frames that arrived before the start were lost to this session.
        unstarted = self._unstarted.pop(start.session, _UnstartedFrames())
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
        assert self.session_start is not None
        self.counts.frames_received += 1
        dropped_earlier = self._count_dropped(frame.dropped)
        stream = _stream_of(frame)
        newest = self._newest.get(stream)
        if newest and (frame.frame, frame.roi) == (newest.frame, newest.roi):
            self.counts.frames_repeated += 1
            return IngestResult(IngestAction.IGNORE, lost_in_network=lost)
        if fault := self._find_fault(frame, newest, self.session_start):
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
        if frame.session not in self._unstarted:
            if len(self._unstarted) >= MAX_COUNTED_SENDERS:
                del self._unstarted[next(iter(self._unstarted))]
            self._unstarted[frame.session] = _UnstartedFrames(0, frame.dropped)
        self._unstarted[frame.session].n_frames += 1
        self._unstarted[frame.session].n_lost += self._count_absent(frame)
        return "frames of a session that has not started"

    def _find_fault(
        self,
        frame: messages.Frame,
        newest: messages.Frame | None,
        start: messages.SessionStart,
    ) -> str:
        field = next(iter(self._newest.values()), frame).roi
        fault = _check_layout(frame, start) or _check_stream(frame, start, field)
        if newest and not fault:
            fault = _check_order(frame, newest, start.rate_hz)
        return fault

    def _count_missing(self, message: messages.IncomingMessage) -> int:
        """Count, and return, how many of the sender's messages are missing."""
        if message.session in self._ended_sessions:
            return 0
        absent = self._count_absent(message)
        # Undecodable messages did arrive, and are counted as refused already.
        lost = max(0, absent - self._n_undecodable)
        self._n_undecodable = 0
        self.counts.lost_in_network += lost
        if self._is_current(message):
            self._add_missing(absent, list(self._newest))  # of which stream is unknown
        return lost

    def _count_absent(self, message: messages.IncomingMessage) -> int:
        """Return how many numbers its sender left out before this message."""
        newest = self._newest_seq.pop(message.session, message.seq - 1)
        absent = max(0, message.seq - newest - 1)
        if len(self._newest_seq) >= MAX_COUNTED_SENDERS:
            del self._newest_seq[next(iter(self._newest_seq))]
        self._newest_seq[message.session] = max(newest, message.seq)
        return absent

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


def _stream_of(frame: messages.Frame) -> _Stream:
    return frame.channel, frame.plane


def _describe_layout(message: messages.SessionStart | messages.Frame) -> str:
    return f"{message.dtype} {message.shape[0]} x {message.shape[1]}"


def _check_layout(frame: messages.Frame, start: messages.SessionStart) -> str:
    if _describe_layout(frame) == _describe_layout(start):
        return ""
    return (
        f"frame {frame.frame} is {_describe_layout(frame)}, the session was started as "
        f"{_describe_layout(start)}; the sender must begin a new session to change it"
    )


def _check_stream(
    frame: messages.Frame, start: messages.SessionStart, field: str | None
) -> str:
    planes = range(len(start.planes))
    if frame.channel not in start.channels or frame.plane not in planes:
        return (
            f"frame {frame.frame} is of channel {frame.channel}, plane {frame.plane}, "
            f"but the session was started with channels {start.channels} and "
            f"{len(planes)} planes, counted from 0; the sender must name all it sends"
        )
    if frame.roi == field:
        return ""
    return (
        f"frame {frame.frame} is of scan field {frame.roi}, the session is read from "
        f"{field}; the sender should send only that"
    )


def _check_order(frame: messages.Frame, newest: messages.Frame, rate_hz: float) -> str:
    step, step_s = frame.frame - newest.frame, frame.t - newest.t
    pause_s = find_longest_pause(rate_hz)
    if 0 < step <= pause_s * rate_hz and 0 < step_s <= pause_s:
        return ""
    return (
        f"frame {frame.frame} at {frame.t:g} s cannot follow frame {newest.frame} at "
        f"{newest.t:g} s; a sender must begin a new session when a counter restarts"
    )
