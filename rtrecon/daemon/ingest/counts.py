"""What a session's senders sent, and what was lost before the daemon."""

from __future__ import annotations

from dataclasses import dataclass

from rtrecon.protocol import messages


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
