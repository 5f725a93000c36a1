"""How often somebody may say something: what is more is refused, counted and told.

Frames have no limit: the daemon takes as many as it can, and their sender counts the
rest. What goes beside them could keep it from taking any. No clock: times are given.
"""

from __future__ import annotations

from rtrecon.protocol import messages

SESSIONS_AT_ONCE, SESSIONS_HZ = 30, 0.5  # each costs a pipeline and a folder
MAX_SENDERS = 16  # told apart; all others are as one
_IDLE_S = 10.0


class Limit:
    """Lets each sender through `rate_hz` times a second, and `at_once` in one go."""

    def __init__(self, rate_hz: float, at_once: float) -> None:
        self._rate_hz = rate_hz
        self._at_once = at_once
        self._left: dict[
            str, tuple[float, float]
        ] = {}  # how often still, and as of when

    def allows(self, sender: str, now_s: float) -> bool:
        """Tell whether this sender may say something now, and count that it did."""
        if sender not in self._left and len(self._left) >= MAX_SENDERS:
            self._forget_idle(now_s)
            sender = sender if len(self._left) < MAX_SENDERS else ""
        left, as_of_s = self._left.get(sender, (self._at_once, now_s))
        left = min(self._at_once, left + self._rate_hz * (now_s - as_of_s))
        allowed = left >= 1.0
        self._left[sender] = (left - allowed, now_s)
        return allowed

    def _forget_idle(self, now_s: float) -> None:
        recent = {
            name: (left, as_of_s)
            for name, (left, as_of_s) in self._left.items()
            if now_s - as_of_s < _IDLE_S
        }
        self._left = recent


class Limits:
    """The limits of all that comes in by the frames' door.

    asides_hz: stimulus, behaviour and sync messages a second, of each sender. Remembers
    the newest session, whose start may be said again and again.
    """

    def __init__(self, asides_hz: float) -> None:
        self._asides_hz = asides_hz
        self._asides = Limit(asides_hz, asides_hz)
        self._sessions = Limit(SESSIONS_HZ, SESSIONS_AT_ONCE)
        self._session = ""

    def refusal(self, message: messages.Incoming, now_s: float) -> str:
        """Return why this message goes too far; empty where it does not."""
        if isinstance(message, messages.Start) and message.session != self._session:
            if not self._sessions.allows("", now_s):
                return "sessions begin too often; do several senders say start?"
            self._session = message.session
        is_aside = isinstance(
            message, messages.Stimulus | messages.Behavior | messages.Sync
        )
        if is_aside and not self._asides.allows(message.session, now_s):
            return (
                f"a sender sends more than {self._asides_hz:g} stimulus, behaviour and "
                "sync messages per second (asides_hz under [wire])"
            )
        return ""
