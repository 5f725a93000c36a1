"""Follows the message counter of each sender, and finds the missing numbers."""

from __future__ import annotations

from rtrecon.protocol import messages

MAX_COUNTED_SENDERS = 16  # microscope, stimulus program, cameras


class SenderSequences:
    """The newest `seq` of each sender, but for senders that are silent longest."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}  # by session, oldest message first

    def __len__(self) -> int:
        return len(self._newest)

    def count_absent(self, message: messages.IncomingMessage) -> int:
        """Return how many numbers its sender left out before this message."""
        newest = self._newest.pop(message.session, message.seq - 1)
        if len(self._newest) >= MAX_COUNTED_SENDERS:
            del self._newest[next(iter(self._newest))]
        self._newest[message.session] = max(newest, message.seq)
        return max(0, message.seq - newest - 1)

    def forget(self, session: str) -> None:
        """Forget a sender, which begins again at any number."""
        self._newest.pop(session, None)
