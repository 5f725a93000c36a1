"""What became of the frames of a session: sent = processed + queued + each loss."""

from __future__ import annotations

from dataclasses import dataclass

from rtrecon.protocol import messages

# Places in `Health.lost` where frames are lost inside the daemon, in words.
_LOST_IN_DAEMON = {
    "refused": "refused by the daemon",
    "reference": "unusable for a reference",
    "unpaired": "without their other channel",
    "unprocessed": "not processed before the session ended",
    "failed": "not processed because of an error",
}


@dataclass(frozen=True)
class FrameBalance:
    """The frames of one session, counted where they were sent, processed and lost.

    n_sent: frames that the microscope acquired, also those that the sender never had or
    dropped. n_queued: received,
    but not processed yet. losses: frames by what happened to them, in words; those
    with 0 are left out. n_unexplained: received frames that are in no other count; 0
    unless the daemon counts wrongly.
    """

    n_sent: int
    n_processed: int
    n_queued: int
    losses: dict[str, int]
    n_unexplained: int

    @property
    def n_lost(self) -> int:
        """All frames that were sent and are neither processed nor queued."""
        return sum(self.losses.values())


def balance_frames(health: messages.Health) -> FrameBalance:
    """Return what became of the frames, from a health message of the daemon.

    Before the sender has ended, frames lost on the way are estimated from missing
    messages.
    """
    n_received, n_queued = health.frames_received, health.queue_depth.get("frames", 0)
    n_on_the_way, n_unreadable = health.gaps.network, health.lost.get("unreadable", 0)
    if health.frames_sent is not None:
        n_missing = max(0, health.frames_sent - n_received)
        n_unreadable = min(n_unreadable, n_missing)
        n_on_the_way = n_missing - n_unreadable
    in_daemon = {
        words: health.lost.get(place, 0) for place, words in _LOST_IN_DAEMON.items()
    }
    in_daemon["repeated, ignored"] = health.gaps.repeated
    n_dropped = health.lost.get("sender", 0)
    losses = {
        # A frame that the sender dropped is also a gap in the microscope's count.
        "lost before the sender": max(0, health.gaps.source - n_dropped),
        "dropped by the sender": n_dropped,
        "dropped by the sender before this daemon received frames": (
            health.lost.get("earlier", 0)
        ),
        "lost on the network": n_on_the_way,
        "not readable by the daemon": n_unreadable,
        **in_daemon,
    }
    n_accounted = health.frames_processed + n_queued + sum(in_daemon.values())
    return FrameBalance(
        n_sent=n_received + sum(losses.values()) - sum(in_daemon.values()),
        n_processed=health.frames_processed,
        n_queued=n_queued,
        losses={words: count for words, count in losses.items() if count},
        n_unexplained=n_received - n_accounted,
    )
