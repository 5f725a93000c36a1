"""Holds the first messages of a new session until the present one is received whole.

ZeroMQ reads its senders in turns. Where one session follows another at once, as two
replays do, the start of the new session is read while frames of the old one are still
queued; these would come too late to be recorded. There is no clock here: the caller
gives the time.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from rtrecon.protocol import messages

# A new session waits no longer than this, and holds no more, for the one before.
MAX_HANDOVER_S = 5.0
MAX_HELD_MESSAGES, MAX_HELD_BYTES = 64, 64 * 2**20

ReceivedParts = tuple[list[Any], float]  # parts of a message, time of its arrival


class SessionHandover:
    """Messages of sessions that begin while the present one is still received.

    `must_hold` says which messages to `hold`. Call `release` once no message is queued
    any more; then `take_message` returns the held ones, oldest first.
    """

    def __init__(self) -> None:
        self.is_holding = False
        self._held: deque[ReceivedParts] = deque()
        self._n_bytes = 0
        self._deadline_s = 0.0
        self._sessions: set[str] = set()  # of which messages are or were held

    def must_hold(
        self, message: messages.IncomingMessage, *, is_new: bool, now_s: float
    ) -> bool:
        """Return whether this message belongs after those that are still queued.

        is_new: whether it starts a session while another one is running.
        """
        if self.is_holding:
            return is_new or message.session in self._sessions
        if not is_new or message.session in self._sessions:
            return False
        self._deadline_s = now_s + MAX_HANDOVER_S
        self._sessions.clear()
        return True

    def hold(self, parts: list[Any], t_received: float, session: str) -> None:
        """Hold a message of a session that has not begun yet."""
        self.is_holding = True
        self._sessions.add(session)
        self._held.append((parts, t_received))
        self._n_bytes += sum(len(part) for part in parts)

    def release(self) -> None:
        """Let the new session begin: its messages can be taken now."""
        self.is_holding, self._n_bytes = False, 0

    def release_if_full(self, now_s: float) -> None:
        """Let the new session begin where it has waited, or holds, too much."""
        is_full = len(self._held) >= MAX_HELD_MESSAGES
        if is_full or self._n_bytes >= MAX_HELD_BYTES or now_s > self._deadline_s:
            self.release()

    def take_message(self) -> ReceivedParts | None:
        """Return the oldest message that was held and is released; None without one."""
        return self._held.popleft() if self._held and not self.is_holding else None
