"""A recorded session through the same door as a live one: numbers, times and all."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TypeVar

from rtrecon.errors import UserError
from rtrecon.sender import Sender
from rtrecon.sources.tiff import RecordedFrame, ScanImageTiff

PREFETCH_FRAMES = 16  # read ahead, so that a slow disk does not make a frame late
DAEMON_TIMEOUT_S = 30.0  # for a daemon to be there, and to take what is queued
END_TIMEOUT_S = 1.0  # for it to take the last word, which is only a hint

T = TypeVar("T")
Progress = Callable[[int, int | None], None]  # frames done, of how many


class ReplayError(UserError):
    """A replay that cannot go on; its text says why and what to do."""


@dataclass(frozen=True)
class ReplayReport:
    """What became of the frames. `notice` is a sentence where the file was cut."""

    frames_sent: int
    frames_dropped: int
    wall_s: float
    notice: str = ""


def replay(
    path: Path | str,
    address: str,
    *,
    speed: float | None = 1.0,
    loops: int | None = 1,
    channel: int | None = None,
    on_progress: Progress | None = None,
) -> ReplayReport:
    """Send a ScanImage TIFF file to the daemon at `address`, as a microscope would.

    At a `speed` frames leave at their recorded times divided by it, and what the daemon
    does not take in time is dropped and counted. With None each frame waits until it is
    taken, and none is lost. `loops` is how often the file is sent, None for ever;
    numbers and times go on from one pass to the next. Without a `channel`, all that
    were saved are sent. `on_progress` is told after each frame how many are done, of
    how many. Raises `ReplayError` if no daemon takes
    frames, `RecordingError` if the file cannot be read.
    """
    _require_sense(speed, loops)
    tell = on_progress or (lambda _done, _total: None)
    with ScanImageTiff(path, channel) as recording:
        sender = Sender(address, **_start(recording))
        total = None if loops is None else loops * len(recording)
        try:
            if not sender.wait_for_daemon(DAEMON_TIMEOUT_S):
                raise ReplayError(
                    f"no daemon listens at {address}; start one with 'rtrecon run'"
                )
            sender.wait_s = DAEMON_TIMEOUT_S if speed is None else 0.0
            began_s = time.monotonic()
            # Closed here, for no thread may read a file that is closed.
            with closing(_prefetched(_looped(recording, loops))) as frames:
                for frame in _paced(frames, speed):
                    _send(sender, frame)
                    tell(sender.sent + sender.dropped, total)
            wall_s = time.monotonic() - began_s
            return ReplayReport(sender.sent, sender.dropped, wall_s, recording.notice)
        finally:
            sender.wait_s = END_TIMEOUT_S
            sender.end("replay over")
            sender.close(DAEMON_TIMEOUT_S)


def _require_sense(speed: float | None, loops: int | None) -> None:
    if speed is not None and not speed > 0:
        raise ReplayError(f"speed {speed} is not positive; 1 is as it was recorded")
    if loops is not None and loops < 1:
        raise ReplayError(f"{loops} loops would send nothing; give 1 or more")


def _start(recording: ScanImageTiff) -> dict[str, object]:
    return {
        "source": f"replay of {recording.path.name}",
        "rate_hz": recording.rate_hz,
        "shape": recording.shape,
        "dtype": recording.dtype.name,
        "channels": list(recording.channels),
        "planes": list(recording.planes),
    }


def _send(sender: Sender, frame: RecordedFrame) -> None:
    taken = sender.frame(
        frame.pixels,
        frame.number,
        frame.t_s,
        channel=frame.channel,
        plane=frame.plane,
    )
    if sender.wait_s and not taken:
        raise ReplayError(
            f"the daemon took no frame for {sender.wait_s:g} s, at frame "
            f"{frame.number}; is it still running?"
        )


def _looped(recording: ScanImageTiff, loops: int | None) -> Iterator[RecordedFrame]:
    """Yield the file's frames again and again; numbers and times keep growing."""
    number, t_s = 0, 0.0  # what is added in this pass
    for _ in count() if loops is None else range(loops):
        first = last = None
        for frame in recording.frames():
            last = replace(frame, number=frame.number + number, t_s=frame.t_s + t_s)
            first = first or last
            yield last
        if first is not None and last is not None:
            number += last.number - first.number + 1
            t_s += last.t_s - first.t_s + 1.0 / recording.rate_hz


def _prefetched(frames: Iterator[T]) -> Generator[T, None, None]:
    """Yield the same, read ahead by another thread, which ends with the generator."""
    with ThreadPoolExecutor(1, "read ahead") as reader:
        ahead = deque(reader.submit(next, frames, None) for _ in range(PREFETCH_FRAMES))
        while (frame := ahead.popleft().result()) is not None:
            ahead.append(reader.submit(next, frames, None))
            yield frame


def _paced(
    frames: Iterator[RecordedFrame], speed: float | None
) -> Iterator[RecordedFrame]:
    """Yield each frame when it is due; deadlines are absolute, so none drifts."""
    began_s, first_s = 0.0, None
    for frame in frames:
        if first_s is None:
            began_s, first_s = time.monotonic(), frame.t_s
        if speed is not None:
            due_s = began_s + (frame.t_s - first_s) / speed
            time.sleep(max(0.0, due_s - time.monotonic()))
        yield frame
