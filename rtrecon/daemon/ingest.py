"""The door: which message is to be processed, which was lost before it, and where.

No sockets and no clock: messages come decoded, time is an argument.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from dataclasses import dataclass
from enum import StrEnum

from rtrecon.protocol import messages

MAX_PAUSE_S = 3600.0  # between two frames; more means a clock or counter gone wild
ENDED_SESSIONS = 64  # remembered, so that none of them comes back
SENDERS = 16  # whose counters are followed: microscope, stimulus program, cameras

_Stream = tuple[int, int]  # channel, plane


class Kind(StrEnum):
    """What to do with a message."""

    SESSION = "session"  # a new session begins, which ends the one before
    FRAME = "frame"  # process it
    ASIDE = "aside"  # stimulus, behaviour or sync: pass it on
    END = "end"  # the sender says it is done
    IGNORE = "ignore"  # start or frame again: nothing to do
    REFUSED = "refused"  # counted; the sentence says why


@dataclass(frozen=True)
class Verdict:
    """What to do with a message, and what went missing just before it."""

    kind: Kind
    sentence: str = ""
    lost_wire: int = 0  # messages
    lost_source: int = 0  # frames


@dataclass
class Counts:
    """One session's sums; every frame received is accepted, repeated or refused."""

    received: int = 0  # frame messages
    accepted: int = 0  # of which to be processed
    rejected: int = 0  # messages refused, frames or not
    lost_wire: int = 0  # messages missing in `seq`
    lost_source: int = 0  # frames missing in `frame` with none missing in `seq`
    repeats: int = 0  # frames that came again
    dropped: int = 0  # frames the sender says it could not send

    @property
    def gaps(self) -> messages.Gaps:
        """The three faces of loss, as they are published."""
        return messages.Gaps(self.lost_wire, self.lost_source, self.repeats)


class Ingest:
    """Follows one session, each of its image streams, and every sender's counter.

    Remembers the session's start, the newest frame of each stream, the newest `seq` of
    each sender and the sessions that have ended. A stream is one channel of one plane,
    as the start announced them; all are of the first frame's scan field. Frames that
    come before their `start` are refused, for nothing vouches for them; senders repeat
    it within about a second. Stimulus and behaviour may come from senders of their own,
    whose `session` never started.
    """

    def __init__(self) -> None:
        self.session: messages.Start | None = None
        self.counts = Counts()
        self._newest: dict[_Stream, messages.Frame] = {}
        # Messages missing from the session since each stream's newest frame.
        self._absent: defaultdict[_Stream, int] = defaultdict(int)
        self._seqs: dict[str, int] = {}  # newest of each sender, oldest sender first
        self._ended: deque[str] = deque(maxlen=ENDED_SESSIONS)
        self._undecoded = 0  # messages refused since the last one that had a `seq`

    def accept(self, message: messages.Incoming) -> Verdict:
        """Judge the next message; counters are up to date when it returns."""
        if isinstance(message, messages.Start):
            return self._accept_start(message)
        lost = self._follow_seq(message)
        if isinstance(message, messages.Frame):
            return self._accept_frame(message, lost)
        if isinstance(message, messages.End):
            known = self._is_current(message)
            return Verdict(Kind.END if known else Kind.IGNORE, lost_wire=lost)
        return Verdict(Kind.ASIDE, lost_wire=lost)

    def reject(self, reason: str) -> Verdict:
        """Count a message that could not be decoded, for `reason`."""
        self._undecoded += 1
        return self._refused(reason)

    def refuse(self, message: messages.Incoming, reason: str) -> Verdict:
        """Count a message that was understood, but is not wanted, for `reason`."""
        return self._refused(reason, self._follow_seq(message))

    def _accept_start(self, start: messages.Start) -> Verdict:
        if start.session in self._ended:
            return self._refused(
                f"session {start.session} has ended, yet its sender still says start; "
                "stop one of the two senders"
            )
        if self.session is None or not self._is_current(start):
            self._begin(start)
            return Verdict(Kind.SESSION)
        lost = self._follow_seq(start)
        if (start.shape, start.dtype) != (self.session.shape, self.session.dtype):
            return self._refused(
                f"start changes {_layout(self.session)} to {_layout(start)} within a "
                "session; the sender must begin a new session",
                lost,
            )
        return Verdict(Kind.IGNORE, lost_wire=lost)

    def _begin(self, start: messages.Start) -> None:
        if self.session is not None:
            self._ended.append(self.session.session)
            self._seqs.pop(self.session.session, None)
        self.session, self.counts = start, Counts()
        self._newest.clear()
        self._absent.clear()
        self._undecoded = 0
        self._follow_seq(start)

    def _accept_frame(self, frame: messages.Frame, lost: int) -> Verdict:
        self.counts.received += 1
        if self.session is None or not self._is_current(frame):
            return self._refused("frames of a session that has not started", lost)
        self.counts.dropped = max(self.counts.dropped, frame.dropped)
        stream = _stream(frame)
        newest = self._newest.get(stream)
        if newest and (frame.frame, frame.roi) == (newest.frame, newest.roi):
            self.counts.repeats += 1
            return Verdict(Kind.IGNORE, lost_wire=lost)
        if fault := self._fault(frame, newest, self.session):
            # It did arrive: the jump in `frame` that it leaves is no loss.
            self._miss(1, [stream] if newest else list(self._newest))
            return self._refused(fault, lost)
        missing = frame.frame - newest.frame - 1 if newest else 0
        lost_source = max(0, missing - self._absent.pop(stream, 0))
        self._newest[stream] = frame
        self.counts.lost_source += lost_source
        self.counts.accepted += 1
        return Verdict(Kind.FRAME, lost_wire=lost, lost_source=lost_source)

    def _fault(
        self,
        frame: messages.Frame,
        newest: messages.Frame | None,
        start: messages.Start,
    ) -> str:
        field = next(iter(self._newest.values()), frame).roi
        fault = _layout_fault(frame, start) or _stream_fault(frame, start, field)
        if newest and not fault:
            fault = _order_fault(frame, newest, start.rate_hz)
        return fault

    def _follow_seq(self, message: messages.Incoming) -> int:
        """Return how many of the sender's messages went missing before this one."""
        newest = self._seqs.pop(message.session, message.seq - 1)
        absent = max(0, message.seq - newest - 1)
        if len(self._seqs) >= SENDERS:
            del self._seqs[next(iter(self._seqs))]
        self._seqs[message.session] = max(newest, message.seq)
        # What could not be decoded did arrive and is counted as refused already.
        lost = max(0, absent - self._undecoded)
        self._undecoded = 0
        self.counts.lost_wire += lost
        if self._is_current(message):
            self._miss(absent, list(self._newest))  # nobody knows of which
        return lost

    def _miss(self, count: int, streams: list[_Stream]) -> None:
        for stream in streams:
            self._absent[stream] += count

    def _is_current(self, message: messages.Incoming) -> bool:
        return self.session is not None and message.session == self.session.session

    def _refused(self, sentence: str, lost_wire: int = 0) -> Verdict:
        self.counts.rejected += 1
        return Verdict(Kind.REFUSED, sentence, lost_wire)


class Throttle:
    """Lets a sentence through the first time, then at most once in `every_s`.

    Sentences that differ only in their numbers are of one kind; what was held back is
    told with the next one of its kind. At most `max_kinds` are told apart.
    """

    def __init__(self, every_s: float = 1.0, max_kinds: int = 32) -> None:
        self._every_s = every_s
        self._max_kinds = max_kinds
        self._told_s: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def offer(self, sentence: str, now_s: float) -> str | None:
        """Return what to report now, or None."""
        kind = re.sub(r"[\d.]+", "#", sentence)[:60]
        if kind not in self._told_s and len(self._told_s) >= self._max_kinds:
            kind = ""  # one kind for all the rest
        if now_s - self._told_s.get(kind, -self._every_s) < self._every_s:
            self._held[kind] = self._held.get(kind, 0) + 1
            return None
        self._told_s[kind] = now_s
        held = self._held.pop(kind, 0)
        return f"{sentence} (and {held} more like it)" if held else sentence


def _stream(frame: messages.Frame) -> _Stream:
    return frame.channel, frame.plane


def _layout(message: messages.Start | messages.Frame) -> str:
    return f"{message.dtype} {message.shape[0]} x {message.shape[1]}"


def _layout_fault(frame: messages.Frame, start: messages.Start) -> str:
    if _layout(frame) == _layout(start):
        return ""
    return (
        f"frame {frame.frame} is {_layout(frame)}, the session was started as "
        f"{_layout(start)}; the sender must begin a new session to change it"
    )


def _stream_fault(
    frame: messages.Frame, start: messages.Start, field: str | None
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


def _order_fault(frame: messages.Frame, newest: messages.Frame, rate_hz: float) -> str:
    step, step_s = frame.frame - newest.frame, frame.t - newest.t
    if 0 < step <= MAX_PAUSE_S * rate_hz and 0 < step_s <= MAX_PAUSE_S:
        return ""
    return (
        f"frame {frame.frame} at {frame.t:g} s cannot follow frame {newest.frame} at "
        f"{newest.t:g} s; a sender must begin a new session when a counter restarts"
    )
