"""Finds senders whose wall clock is wrong, from when their messages arrive.

A message cannot arrive before it is sent, and the least delayed ones arrive within
milliseconds. The smallest difference of arrival and send time is therefore the offset
of a sender's clock, except for that delay. Nothing here reads a clock: callers give the
time of arrival on a clock that is never set.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rtrecon.protocol import messages

# A clock that is ahead by more is certain: no message arrives before it is sent. One
# that is behind makes messages look late, as a slow program or network does; only an
# error that is larger than such delays counts.
MIN_CLOCK_ERROR_S, MIN_BEHIND_ERROR_S = 0.25, 1.0
_BLOCK_S, _MAX_BLOCKS = 1.0, 8
_MIN_MESSAGES = 3  # and at least one block: then the smallest delay is known
_MAX_SLOPE = 0.1  # a faster change of the delay: frames do not arrive in real time
_MAX_SENDERS = 16

TimedMessage = messages.StimulusFrame | messages.BehaviorSample


@dataclass
class _Block:
    """The delays of the messages that arrived within one second."""

    begin_s: float
    min_s: float
    max_s: float
    n_messages: int = 1


class ArrivalDelay:
    """Smallest arrival time minus send time among the messages of some seconds.

    Slow drift is followed, as the window moves on. A clock that is set ahead is
    followed at once, one that is set back after one to two seconds.
    """

    def __init__(self) -> None:
        self._blocks: deque[_Block] = deque(maxlen=_MAX_BLOCKS)
        self._newest_s = 0.0
        self._newest_delay_s = 0.0

    @property
    def is_started(self) -> bool:
        """Whether there was any message."""
        return bool(self._blocks)

    @property
    def delay_s(self) -> float:
        """The smallest delay in s; raises ValueError before the first message."""
        return min(block.min_s for block in self._blocks)

    @property
    def is_known(self) -> bool:
        """Whether there were enough messages, over at least one second."""
        if not self._blocks:
            return False
        n_messages = sum(block.n_messages for block in self._blocks)
        span_s = self._newest_s - self._blocks[0].begin_s
        return n_messages >= _MIN_MESSAGES and span_s >= _BLOCK_S

    @property
    def is_late(self) -> bool:
        """Whether the newest message took long, or its clock has been set back."""
        if not self._blocks:
            return False
        return self._newest_delay_s > self.delay_s + MIN_CLOCK_ERROR_S

    @property
    def is_steady(self) -> bool:
        """Whether sender and arrival advance together, as they do in real time."""
        if not self._blocks:
            return False
        first, last = self._blocks[0], self._blocks[-1]
        span_s = max(_BLOCK_S, last.begin_s - first.begin_s)
        return abs(last.min_s - first.min_s) < _MAX_SLOPE * span_s

    def add_message(self, t_send_s: float, t_arrival_s: float) -> None:
        """Learn of a message; t_send_s: on the sender's clock."""
        delay_s = t_arrival_s - t_send_s
        if self._blocks and delay_s < self.delay_s - MIN_CLOCK_ERROR_S:
            self._blocks.clear()  # the clock was set ahead
        if self._blocks and t_arrival_s - self._blocks[-1].begin_s < _BLOCK_S:
            block = self._blocks[-1]
            block.min_s = min(block.min_s, delay_s)
            block.max_s = max(block.max_s, delay_s)
            block.n_messages += 1
        else:
            self._forget_time_before_step()
            self._blocks.append(_Block(t_arrival_s, delay_s, delay_s))
        self._newest_s, self._newest_delay_s = t_arrival_s, delay_s

    def _forget_time_before_step(self) -> None:
        """Drop earlier seconds if the last one shows that the clock was set back.

        All its messages are later than before, and equally late: a queue that builds up
        or empties makes them unequal.
        """
        if len(self._blocks) < 2:
            return
        *earlier, last = self._blocks
        rise_s = last.min_s - min(block.min_s for block in earlier)
        spread_s = last.max_s - last.min_s
        if rise_s > MIN_CLOCK_ERROR_S > spread_s:
            self._blocks = deque([last], _MAX_BLOCKS)


class _SenderClock:
    """The clock of one sender: what it sends, its delay, and what was reported."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.delay = ArrivalDelay()
        self.is_corrected = False
        self.reported_error_s = 0.0


class ArrivalClocks:
    """The clocks of all senders, compared with that of the microscope's computer.

    A sender whose clock is ahead by more than `MIN_CLOCK_ERROR_S`, or behind by more
    than `MIN_BEHIND_ERROR_S`, is corrected from then on: its times are placed by
    arrival, to within the difference of the delays, usually some milliseconds. Frames
    that do not arrive in real time, as in a fast replay, say nothing about clocks: then
    no clock is judged.
    """

    def __init__(self) -> None:
        self._microscope = ArrivalDelay()  # of the microscope's own clock, `t`
        self._wall_clock = ArrivalDelay()  # of its computer's clock, `t_send`
        self._senders: dict[str, _SenderClock] = {}
        self._notices: list[str] = []

    def add_frame(self, message: messages.Frame, t_arrival_s: float) -> None:
        """Learn of a frame of the microscope, and judge the clocks that wait for it."""
        self._microscope.add_message(message.t, t_arrival_s)
        self._wall_clock.add_message(message.t_send, t_arrival_s)
        for sender in self._senders.values():
            if not sender.is_corrected:
                self._judge(sender)

    def add_message(self, message: TimedMessage, t_arrival_s: float) -> None:
        """Learn of a message without `t`, and judge its sender's clock."""
        if message.t is not None or message.t_send is None:
            return
        sender = self._senders.get(message.session)
        if sender is None:
            if len(self._senders) >= _MAX_SENDERS:
                del self._senders[next(iter(self._senders))]
            kind = messages.message_type(message)
            sender = self._senders[message.session] = _SenderClock(kind)
        sender.delay.add_message(message.t_send, t_arrival_s)
        self._judge(sender)

    def is_undecided(self, session: str) -> bool:
        """Return whether it is not known yet whether this sender's clock is wrong."""
        sender = self._senders.get(session)
        error_s = self.error_s(session)
        if sender is None or error_s is None:
            return False
        # Where frames are late as well, the network or the replay is slow, not a clock.
        is_late = sender.delay.is_late and not self._wall_clock.is_late
        is_wrong = _is_certain_error(error_s) and not sender.is_corrected
        return is_late or (is_wrong and not self._can_judge(sender))

    def error_s(self, session: str) -> float | None:
        """Return how far (s) a sender's clock is behind the microscope's computer.

        Negative if it is ahead; None before both have sent something.
        """
        sender = self._senders.get(session)
        if sender is None or not self._wall_clock.is_started:
            return None
        return sender.delay.delay_s - self._wall_clock.delay_s

    def to_microscope_time(self, session: str, t_send_s: float) -> float | None:
        """Return the microscope's time, by arrival; None if the clock is not wrong."""
        sender = self._senders.get(session)
        if sender is None or not sender.is_corrected:
            return None
        return t_send_s + sender.delay.delay_s - self._microscope.delay_s

    def describe_errors(self) -> list[str]:
        """Return the error of each sender's clock in a few words."""
        errors_s = {session: self.error_s(session) for session in self._senders}
        return [
            f"{self._senders[session].kind} clock {_describe_error(error_s)}"
            for session, error_s in errors_s.items()
            if error_s is not None
        ]

    def take_notices(self) -> list[str]:
        """Return the sentences for the user since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def _can_judge(self, sender: _SenderClock) -> bool:
        """Return whether all delays are known, and frames arrive in real time."""
        clocks = self._microscope, self._wall_clock
        return sender.delay.is_known and all(
            clock.is_known and clock.is_steady for clock in clocks
        )

    def _judge(self, sender: _SenderClock) -> None:
        """Correct a clock that is wrong, and report a new error once."""
        if not self._can_judge(sender):
            return
        error_s = sender.delay.delay_s - self._wall_clock.delay_s
        if not sender.is_corrected and not _is_certain_error(error_s):
            return
        if abs(error_s - sender.reported_error_s) <= MIN_CLOCK_ERROR_S:
            return
        sender.is_corrected, sender.reported_error_s = True, error_s
        of = "" if error_s > 0 else " of"
        self._notices.append(
            f"the clock of the {sender.kind} computer is "
            f"{_describe_error(error_s)}{of} the microscope's; times are corrected by "
            "when messages arrive"
        )


def _is_certain_error(error_s: float) -> bool:
    """Return whether an error (s, negative: ahead) is more than a delay can explain."""
    return error_s < -MIN_CLOCK_ERROR_S or error_s > MIN_BEHIND_ERROR_S


def _describe_error(error_s: float) -> str:
    digits = 1 if abs(error_s) >= MIN_CLOCK_ERROR_S else 3
    return f"{abs(error_s):.{digits}f} s {'behind' if error_s > 0 else 'ahead'}"
