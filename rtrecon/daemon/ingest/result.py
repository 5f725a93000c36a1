"""What to do with a received message, as `Ingest` decides it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
