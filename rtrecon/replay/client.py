"""A recording's way to the daemon: start, every frame, end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from rtrecon.core.errors import UserError
from rtrecon.sources.recording import RecordedFrame, Recording
from rtrecon.transport.keys import ClientKeys
from rtrecon.transport.sender import Sender

END_TIMEOUT_S = 1.0  # for the daemon to take the last word, which is only a hint

T = TypeVar("T")
Told = Callable[[int], None]  # how many frames are done


class ReplayError(UserError):
    """A replay that cannot go on; its text says why and what to do."""


@dataclass(frozen=True)
class ReplayReport:
    """What became of the frames. `notice` is a sentence where the file was cut."""

    frames_sent: int
    frames_dropped: int
    wall_s: float
    notice: str = ""


@dataclass(frozen=True)
class Outlet:
    """Where frames go, and how long anything waits there.

    timeout_s: for a daemon to be there, and to take what is queued in the end. wait_s:
    for each frame to be taken, else it is a `ReplayError`; 0 = it is dropped and
    counted instead, so that nobody waits. keys: a client's, where the daemon wants
    some. prefix: of the recording's name, as the daemon is told it.
    """

    address: str
    keys: ClientKeys | None
    timeout_s: float
    wait_s: float = 0.0
    prefix: str = ""

    def send(
        self, recording: Recording, frames: Iterable[RecordedFrame], told: Told
    ) -> ReplayReport:
        """Send frames of a recording to the end, or until one cannot be read.

        `told` is called after each. Raises `ReplayError`, and what the frames raise.
        """
        with self.session(**self._start(recording)) as sender:
            began_s = time.monotonic()
            for frame in frames:
                _send(sender, frame)
                told(sender.sent + sender.dropped)
            wall_s = time.monotonic() - began_s
            return ReplayReport(sender.sent, sender.dropped, wall_s, recording.notice)

    @contextmanager
    def session(self, **start: object) -> Iterator[Sender]:
        """Begin a session with a daemon that is there; end it, whatever comes."""
        sender = Sender(self.address, self.keys, **start)
        try:
            self._wait_for_daemon(sender)
            yield sender
        finally:
            sender.wait_s = END_TIMEOUT_S
            sender.end("replay over")
            sender.close(self.timeout_s)

    def _wait_for_daemon(self, sender: Sender) -> None:
        if not sender.wait_for_daemon(self.timeout_s):
            raise ReplayError(sender.absence())
        sender.wait_s = self.wait_s

    def _start(self, recording: Recording) -> dict[str, object]:
        return {
            "source": f"{self.prefix}{recording.name}",
            "rate_hz": recording.rate_hz,
            "shape": recording.shape,
            "dtype": recording.dtype.name,
            "channels": list(recording.channels),
            "planes": list(recording.planes),
        }


def require_pace(speed: float | None, loops: int | None = 1) -> None:
    """Raise `ReplayError` where a recording cannot be sent so fast, or so often."""
    if speed is not None and not speed > 0:
        raise ReplayError(f"speed {speed} is not positive; 1 is as it was recorded")
    if loops is not None and loops < 1:
        raise ReplayError(f"{loops} loops would send nothing; give 1 or more")


def paced(
    items: Iterable[T], at_s: Callable[[T], float], speed: float | None
) -> Iterator[T]:
    """Yield each item when it is due; deadlines are absolute, so none drifts.

    at_s: when it was, in the recording. speed: None = at once.
    """
    began_s, first_s = 0.0, None
    for item in items:
        if first_s is None:
            began_s, first_s = time.monotonic(), at_s(item)
        if speed is not None:
            due_s = began_s + (at_s(item) - first_s) / speed
            time.sleep(max(0.0, due_s - time.monotonic()))
        yield item


def _send(sender: Sender, frame: RecordedFrame) -> None:
    taken = sender.frame(
        frame.pixels,
        frame.number,
        frame.t_s,
        channel=frame.channel,
        plane=frame.plane,
        roi=frame.roi,
    )
    if sender.wait_s and not taken:
        raise ReplayError(
            f"the daemon took no frame for {sender.wait_s:g} s, at frame "
            f"{frame.number}; is it still running?"
        )
