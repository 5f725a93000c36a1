"""Joins losses that follow each other into one report with share and duration.

A loose cable loses a frame now and then: dozens of sentences would hide all others. The
first loss is reported at once, and the whole episode when it is over. There is no clock
here: the caller gives the time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtrecon.core.frame_intervals import extend_timeout, format_interval
from rtrecon.daemon.ingest.result import IngestAction, IngestResult

EPISODE_END_S = 5.0  # without a loss
_END_INTERVALS = 5.0  # of a time-lapse, which loses one frame in some minutes

Notice = tuple[str, int]  # sentence, number of frames or messages


@dataclass
class _Episode:
    """Losses that follow each other. n_received: of the same kind, in between."""

    began_s: float
    newest_s: float
    n_losses: int = 0
    n_lost: int = 0
    n_received: int = 0

    def describe(self, unit: str, place: str) -> str:
        """Return share and duration in a sentence."""
        share = self.n_lost / (self.n_lost + self.n_received)
        return (
            f"{self.n_lost} {unit} ({share:.1%}) were lost {place} within "
            f"{format_interval(self.newest_s - self.began_s)}"
        )


class LossCounter:
    """Follows the losses at one place. unit: of what is lost, such as "frames".

    rate_hz: of the session's frames; rare frames lose rarely.
    """

    def __init__(self, unit: str, place: str) -> None:
        self._unit = unit
        self._place = place
        self.rate_hz = math.inf  # of the session's frames
        self._episode: _Episode | None = None

    def count_message(self, n_lost: int, now_s: float) -> Notice | None:
        """Count a message that arrived and what was lost just before it.

        Returns a notice for the first loss of an episode.
        """
        episode = self._episode
        if episode is not None:
            episode.n_received += 1
        if not n_lost:
            return None
        if episode is None:
            episode = self._episode = _Episode(now_s, now_s, n_received=1)
        episode.n_lost += n_lost
        episode.n_losses += 1
        episode.newest_s = now_s
        if episode.n_losses > 1:
            return None
        unit, verb = (self._unit[:-1], "was") if n_lost == 1 else (self._unit, "were")
        return f"{n_lost} {unit} {verb} lost {self._place}", n_lost

    def take_ended(self, now_s: float) -> Notice | None:
        """Return once a notice of an episode that is over; None for a single loss."""
        episode = self._episode
        end_s = extend_timeout(EPISODE_END_S, self.rate_hz, _END_INTERVALS)
        if episode is None or now_s - episode.newest_s < end_s:
            return None
        self._episode = None
        if episode.n_losses == 1:
            return None  # reported already
        return episode.describe(self._unit, self._place), episode.n_lost

    def describe_current(self) -> str:
        """Return a sentence while losses go on, "" otherwise or for a single loss."""
        episode = self._episode
        if episode is None or episode.n_losses == 1:
            return ""
        return episode.describe(self._unit, self._place)


class LossMonitor:
    """Follows what is lost in the network, and before the sender."""

    def __init__(self) -> None:
        self._network = LossCounter("messages", "in the network")
        self._source = LossCounter("frames", "before the sender")

    def begin_session(self, rate_hz: float) -> None:
        """Begin a session with this many frames per second."""
        self._network.rate_hz = self._source.rate_hz = rate_hz

    def count_message(self, result: IngestResult, now_s: float) -> list[Notice]:
        """Count what was lost before a message; return what to report at once."""
        notices = [self._network.count_message(result.lost_in_network, now_s)]
        if result.action is IngestAction.FRAME:
            notices.append(self._source.count_message(result.lost_at_source, now_s))
        return [notice for notice in notices if notice]

    def take_ended(self, now_s: float) -> list[Notice]:
        """Return a notice for each place where losses have ended."""
        ended = [self._network.take_ended(now_s), self._source.take_ended(now_s)]
        return [notice for notice in ended if notice]

    def list_conditions(self) -> dict[str, str]:
        """Return what is being lost now, as the condition `frames lost`."""
        sentences = [
            self._network.describe_current(),
            self._source.describe_current(),
        ]
        text = "; ".join(sentence for sentence in sentences if sentence)
        return {"frames lost": text} if text else {}
