"""One recording in several files: those that were full, or those of a LOOP."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rtrecon.sources.recording import RecordedFrame, Recording, RecordingError

Opener = Callable[[Path], Recording]


class Onward:
    """Keeps numbers and times growing from one file to the next.

    Those of a LOOP grow by themselves and are left as they are; files that count from
    1 each, or start their clock anew, follow the one before a frame later.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_s = 1.0 / rate_hz
        self._newest: RecordedFrame | None = None  # as it was passed on
        self._number, self._t_s = 0, 0.0  # what is added in this file

    def file(self, frames: Iterator[RecordedFrame]) -> Iterator[RecordedFrame]:
        """Yield the frames of the next file."""
        is_first = True
        for frame in frames:
            if is_first:
                self._join(frame)
            is_first = False
            self._newest = self._moved(frame)
            yield self._newest

    def _join(self, frame: RecordedFrame) -> None:
        newest, first = self._newest, self._moved(frame)
        # The next channel or plane of a volume has the number of the last one.
        if newest is None:
            return
        if _place(first) > _place(newest) and first.t_s >= newest.t_s:
            return
        self._number = newest.number + 1 - frame.number
        self._t_s = newest.t_s + self._period_s - frame.t_s

    def _moved(self, frame: RecordedFrame) -> RecordedFrame:
        return replace(
            frame, number=frame.number + self._number, t_s=frame.t_s + self._t_s
        )


class Series(Recording):
    """Files of one recording, each opened when it is its turn.

    Shape, pixel type, channels and planes have to be those of the first file. Raises
    `RecordingError`.
    """

    def __init__(self, paths: Sequence[Path], opener: Opener) -> None:
        self._paths, self._opener = list(paths), opener
        self._current = self._opener(self._paths[0])
        first = self._current
        self.name = f"{first.name} and {len(self._paths) - 1} more"
        self.shape, self.dtype, self.rate_hz = first.shape, first.dtype, first.rate_hz
        self.channels, self.planes = first.channels, first.planes
        notices: list[str] = []
        n_frames = 0
        for path in self._paths:
            with self._next(path) as recording:
                n_frames += recording.n_frames or 0
                notices += [recording.notice] if recording.notice else []
        self.n_frames = n_frames
        self.notice = "; ".join(dict.fromkeys(notices))

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames of all files, numbers and times growing throughout."""
        onward = Onward(self.rate_hz)
        for path in self._paths:
            self.close()
            self._current = self._next(path)
            yield from onward.file(self._current.frames())

    def close(self) -> None:
        """Close the file that is being read."""
        self._current.close()

    def _next(self, path: Path) -> Recording:
        recording = self._opener(path)
        require_alike(recording, self, path)
        return recording


def require_alike(recording: Recording, first: Recording, path: Path) -> None:
    """Raise `RecordingError`, and close, unless a file goes on with what was begun."""
    if _kind(recording) != _kind(first):
        recording.close()
        raise RecordingError(
            f"{path} holds {_told(recording)}, but the recording began with "
            f"{_told(first)}; replay it by itself"
        )


def series_in(folder: Path, pattern: str) -> list[Path]:
    """Return the files of the one series that matches, in the order of their numbers.

    Names end in numbers, as ScanImage writes them: name_00001_00002.tif. Raises
    `RecordingError` where there is none or more than one.
    """
    files = [path for path in folder.glob(pattern) if path.is_file()]
    if not files:
        raise RecordingError(f"no file {pattern} is in {folder}")
    stems = sorted({_stem(path) for path in files})
    if len(stems) > 1:
        raise RecordingError(
            f"{folder} holds {len(stems)} recordings: {', '.join(stems)}; name the "
            f"files of one, such as '{stems[0]}*{files[0].suffix}'"
        )
    return sorted(files, key=_numbers)


def followers(path: Path) -> list[Path]:
    """Return the names that the next file may have: the next part, or acquisition."""
    found = re.fullmatch(r"(.*?)_(\d{5})(?:_(\d{5}))?", path.stem)
    if found is None:
        return []
    stem, acquisition, part = found[1], int(found[2]), found[3]
    if part is None:
        return [path.with_stem(f"{stem}_{acquisition + 1:05d}")]
    return [
        path.with_stem(f"{stem}_{acquisition:05d}_{int(part) + 1:05d}"),
        path.with_stem(f"{stem}_{acquisition + 1:05d}_00001"),
    ]


def _stem(path: Path) -> str:
    return re.sub(r"(_?\d+)*$", "", path.stem)


def _numbers(path: Path) -> tuple[list[int], str]:
    tail = path.stem[len(_stem(path)) :]
    return [int(number) for number in re.findall(r"\d+", tail)], path.name


def _place(frame: RecordedFrame) -> tuple[int, int, int]:
    return frame.number, frame.plane, frame.channel


def _kind(recording: Recording) -> tuple[object, ...]:
    return recording.shape, recording.dtype, recording.channels, recording.planes


def _told(recording: Recording) -> str:
    lines, pixels = recording.shape
    return (
        f"{recording.dtype} {lines} x {pixels} of channels "
        f"{list(recording.channels)} at {len(recording.planes)} plane(s)"
    )
