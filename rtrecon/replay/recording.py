"""Replays a recording file, or passes a live source on, as a microscope would send."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TypeVar

from rtrecon import sources
from rtrecon.replay.client import (
    DAEMON_TIMEOUT_S,
    QUEUE_TIMEOUT_S,
    FrameCountCallback,
    NoticeCallback,
    Pacing,
    ReplayClient,
    ReplayReport,
    describe_recording,
    ignore_notice,
    require_valid_pace,
    send_paced,
    send_recorded_frame,
)
from rtrecon.sources.recording import RecordedFrame, Recording, RecordingHints
from rtrecon.transport.keys import ClientKeys

PREFETCH_FRAMES = 16  # read ahead, so that a slow disk does not delay a frame

T = TypeVar("T")


def replay_recording(
    path: Path | str,
    address: str,
    *,
    speed: float | None = 1.0,
    loops: int | None = 1,
    hints: RecordingHints | None = None,
    keys: ClientKeys | None = None,
    control: str | None = None,
    notify: NoticeCallback = ignore_notice,
    timeout_s: float = DAEMON_TIMEOUT_S,
    on_progress: FrameCountCallback | None = None,
) -> ReplayReport:
    """Send a recording to the daemon at `address`, as a microscope would.

    speed: frames leave at their recorded times divided by it; None: as soon as they
    are taken. No frame is dropped: if the daemon is slower, the rest is late. loops:
    how often the file is sent, None = without end; frame numbers and times continue
    from one loop to the next. hints: what the file does not say, and what of it to
    send. keys: a client's, if the daemon requires keys. control: address at which the
    daemon says whether it takes the session. notify: called with a sentence if that is
    not known. timeout_s: for a daemon to be there. on_progress: called after each
    frame. Raises `ReplayError` if no daemon takes the frames, `RecordingError` for a
    file that cannot be read.
    """
    require_valid_pace(speed, loops)
    client = ReplayClient(address, keys, timeout_s, QUEUE_TIMEOUT_S, control, notify)
    with sources.open_recording(path, hints) as recording:
        n_frames = recording.n_frames
        total = None if loops is None or n_frames is None else loops * n_frames
        # Closed here, because no thread may read a file that is closed.
        with closing(_read_ahead(_repeat_frames(recording, loops))) as frames:
            start = describe_recording(recording, "replay of ")
            with client.open_session(**start) as sender:
                report = send_paced(
                    frames,
                    Pacing(lambda frame: frame.t_s, speed),
                    lambda frame: send_recorded_frame(sender, frame),
                    sender,
                    on_progress,
                    total,
                )
        return replace(report, notice=recording.notice)


def forward_live_source(
    recording: Recording,
    address: str,
    *,
    keys: ClientKeys | None = None,
    control: str | None = None,
    notify: NoticeCallback = ignore_notice,
    may_wait: bool = False,
    on_progress: FrameCountCallback | None = None,
) -> ReplayReport:
    """Send what comes from a live source to the daemon at once, until it ends.

    Frames that the daemon does not take are dropped and counted, so that the source
    never waits. may_wait: the source can wait, as a file can, and no frame is dropped.
    control: address at which the daemon says whether it takes the session. notify:
    called with a sentence if that is not known. Closes the source. Raises
    `ReplayError` if no daemon takes frames, `RecordingError` if the source fails.
    """
    queue_timeout_s = QUEUE_TIMEOUT_S if may_wait else 0.0
    client = ReplayClient(
        address, keys, DAEMON_TIMEOUT_S, queue_timeout_s, control, notify
    )
    with recording, client.open_session(**describe_recording(recording)) as sender:
        report = send_paced(
            recording.frames(),
            Pacing(lambda frame: frame.t_s, speed=None),
            lambda frame: send_recorded_frame(sender, frame),
            sender,
            on_progress,
            recording.n_frames,
        )
        return replace(report, notice=recording.notice)


def _repeat_frames(recording: Recording, loops: int | None) -> Iterator[RecordedFrame]:
    """Yield the file's frames in each loop; numbers and times keep growing."""
    number_offset, time_offset_s = 0, 0.0
    for _ in count() if loops is None else range(loops):
        first = last = None
        for frame in recording.frames():
            last = replace(
                frame,
                number=frame.number + number_offset,
                t_s=frame.t_s + time_offset_s,
            )
            first = first or last
            yield last
        if first is None or last is None:
            return  # a captured or live source can be read only once
        number_offset += last.number - first.number + 1
        time_offset_s += last.t_s - first.t_s + 1.0 / recording.rate_hz


def _read_ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """Yield the same items, read ahead by a thread that ends with the generator."""
    iterator = iter(items)
    with ThreadPoolExecutor(1, "read ahead") as reader:
        pending = deque(
            reader.submit(next, iterator, None) for _ in range(PREFETCH_FRAMES)
        )
        while (item := pending.popleft().result()) is not None:
            pending.append(reader.submit(next, iterator, None))
            yield item
