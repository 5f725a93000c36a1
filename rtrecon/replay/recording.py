"""A recorded session through the same door as a live one: numbers, times and all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TypeVar

from rtrecon import sources
from rtrecon.replay.client import Outlet, paced, require_pace
from rtrecon.replay.client import ReplayError as ReplayError
from rtrecon.replay.client import ReplayReport as ReplayReport
from rtrecon.sources.recording import Hints, RecordedFrame, Recording
from rtrecon.transport.keys import ClientKeys

PREFETCH_FRAMES = 16  # read ahead, so that a slow disk does not make a frame late
DAEMON_TIMEOUT_S = 30.0  # for a daemon to be there, and to take what is queued

T = TypeVar("T")
Progress = Callable[[int, int | None], None]  # frames done, of how many


def replay(
    path: Path | str,
    address: str,
    *,
    speed: float | None = 1.0,
    loops: int | None = 1,
    hints: Hints | None = None,
    keys: ClientKeys | None = None,
    on_progress: Progress | None = None,
) -> ReplayReport:
    """Send a recording to the daemon at `address`, as a microscope would.

    At a `speed` frames leave at their recorded times divided by it, and what the daemon
    does not take in time is dropped and counted. With None each frame waits until it is
    taken, and none is lost. `loops` is how often the file is sent, None for ever;
    numbers and times go on from one pass to the next. `hints` tell what the file does
    not, and what of it is sent. `keys` are a client's, where the daemon wants some.
    `on_progress` is told after each frame how many are done, of how many. Raises
    `ReplayError` if no daemon takes frames, `RecordingError` for a file not to be read.
    """
    require_pace(speed, loops)
    wait_s = DAEMON_TIMEOUT_S if speed is None else 0.0
    outlet = Outlet(address, keys, DAEMON_TIMEOUT_S, wait_s, "replay of ")
    with sources.open(path, hints) as recording:
        once = recording.n_frames
        total = None if loops is None or once is None else loops * once
        told = _told(on_progress, total)
        # Closed here, for no thread may read a file that is closed.
        with closing(_prefetched(_looped(recording, loops))) as frames:
            return outlet.send(
                recording, paced(frames, lambda frame: frame.t_s, speed), told
            )


def forward(
    recording: Recording,
    address: str,
    *,
    keys: ClientKeys | None = None,
    may_wait: bool = False,
    on_progress: Progress | None = None,
) -> ReplayReport:
    """Send what comes from a live source to the daemon at once, until it ends.

    What the daemon does not take is dropped and counted, so that the source need not
    wait; unless it `may_wait`, like a file. Closes the source. Raises `ReplayError` if
    no daemon takes frames, `RecordingError` if the source fails.
    """
    wait_s = DAEMON_TIMEOUT_S if may_wait else 0.0
    outlet = Outlet(address, keys, DAEMON_TIMEOUT_S, wait_s)
    with recording:
        told = _told(on_progress, recording.n_frames)
        return outlet.send(recording, recording.frames(), told)


def _told(on_progress: Progress | None, total: int | None) -> Callable[[int], None]:
    return lambda done: on_progress(done, total) if on_progress else None


def _looped(recording: Recording, loops: int | None) -> Iterator[RecordedFrame]:
    """Yield the file's frames again and again; numbers and times keep growing."""
    number, t_s = 0, 0.0  # what is added in this pass
    for _ in count() if loops is None else range(loops):
        first = last = None
        for frame in recording.frames():
            last = replace(frame, number=frame.number + number, t_s=frame.t_s + t_s)
            first = first or last
            yield last
        if first is None or last is None:
            return  # what is captured, or live, comes once
        number += last.number - first.number + 1
        t_s += last.t_s - first.t_s + 1.0 / recording.rate_hz


def _prefetched(frames: Iterator[T]) -> Generator[T, None, None]:
    """Yield the same, read ahead by another thread, which ends with the generator."""
    with ThreadPoolExecutor(1, "read ahead") as reader:
        ahead = deque(reader.submit(next, frames, None) for _ in range(PREFETCH_FRAMES))
        while (frame := ahead.popleft().result()) is not None:
            ahead.append(reader.submit(next, frames, None))
            yield frame
