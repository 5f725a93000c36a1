"""Limits how often senders may do something; what exceeds a limit is refused.

Frames have no limit: the daemon takes as many as it can, and their sender counts the
rest. Other messages could keep the daemon from taking frames. There is no clock here:
the caller gives the time.
"""

from __future__ import annotations

import re

from rtrecon.protocol import messages

SESSION_BURST, MAX_SESSIONS_HZ = 30, 0.5  # each costs a pipeline and a folder
MAX_SENDERS = 16  # with a limit of their own; all others share one
_IDLE_S = 10.0

_Auxiliary = messages.StimulusFrame | messages.BehaviorSample | messages.SyncEdge


class TokenBucket:
    """Allows each sender `rate_hz` messages per second, and `burst` of them at once."""

    def __init__(self, rate_hz: float, burst: float) -> None:
        self._rate_hz = rate_hz
        self._burst = burst
        self._tokens: dict[str, tuple[float, float]] = {}  # tokens left, and when (s)

    def try_take(self, sender: str, now_s: float) -> bool:
        """Return whether this sender may send now; if so, take one of its tokens."""
        if sender not in self._tokens and len(self._tokens) >= MAX_SENDERS:
            self._forget_idle_senders(now_s)
            sender = sender if len(self._tokens) < MAX_SENDERS else ""
        tokens, filled_s = self._tokens.get(sender, (self._burst, now_s))
        tokens = min(self._burst, tokens + self._rate_hz * (now_s - filled_s))
        is_allowed = tokens >= 1.0
        self._tokens[sender] = (tokens - is_allowed, now_s)
        return is_allowed

    def _forget_idle_senders(self, now_s: float) -> None:
        self._tokens = {
            sender: (tokens, filled_s)
            for sender, (tokens, filled_s) in self._tokens.items()
            if now_s - filled_s < _IDLE_S
        }


class MessageLimits:
    """The limits of the messages that senders send beside frames.

    aux_rate_limit_hz: stimulus, behaviour and sync messages per second of one sender.
    The start of the newest session may be repeated without limit.
    """

    def __init__(self, aux_rate_limit_hz: float) -> None:
        self._aux_rate_limit_hz = aux_rate_limit_hz
        self._auxiliary = TokenBucket(aux_rate_limit_hz, burst=aux_rate_limit_hz)
        self._sessions = TokenBucket(MAX_SESSIONS_HZ, burst=SESSION_BURST)
        self._session = ""

    def check_message(self, message: messages.IncomingMessage, now_s: float) -> str:
        """Return why this message exceeds a limit; empty if it does not."""
        if isinstance(message, messages.SessionStart):
            return self._check_start(message, now_s)
        if not isinstance(message, _Auxiliary):
            return ""
        if self._auxiliary.try_take(message.session, now_s):
            return ""
        return (
            f"a sender sends more than {self._aux_rate_limit_hz:g} stimulus, behaviour "
            "and sync messages per second (aux_rate_limit_hz under [network])"
        )

    def _check_start(self, start: messages.SessionStart, now_s: float) -> str:
        if start.session == self._session:
            return ""
        if not self._sessions.try_take("", now_s):
            return "sessions begin too often; do several senders start sessions?"
        self._session = start.session
        return ""


class Throttle:
    """Passes a sentence on the first time, then at most once in `interval_s`.

    Sentences that differ only in their numbers are of one kind. The next sentence of a
    kind says how many were held back. There are at most `max_kinds`, and one for all
    the rest.
    """

    def __init__(self, interval_s: float = 1.0, max_kinds: int = 32) -> None:
        self._interval_s = interval_s
        self._max_kinds = max_kinds
        self._passed_s: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def limit_notice(self, sentence: str, now_s: float) -> str | None:
        """Return the sentence to report now, or None."""
        kind = re.sub(r"[\d.]+", "#", sentence)[:60]
        if kind not in self._passed_s and len(self._passed_s) >= self._max_kinds:
            kind = ""
        if now_s - self._passed_s.get(kind, -self._interval_s) < self._interval_s:
            self._held_back[kind] = self._held_back.get(kind, 0) + 1
            return None
        self._passed_s[kind] = now_s
        held_back = self._held_back.pop(kind, 0)
        return f"{sentence} (and {held_back} more like it)" if held_back else sentence
