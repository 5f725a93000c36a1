"""One recording in several files: parts of an acquisition, or files of a LOOP."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rtrecon.sources.recording import RecordedFrame, Recording, RecordingError

RecordingOpener = Callable[[Path], Recording]


class FrameRenumbering:
    """Makes numbers and times of frames increase from one file to the next.

    Files of a LOOP continue the count and are left as they are. If a file counts from
    1, or its clock starts anew, its first frame follows the previous file's last frame
    after one frame period.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_s = 1.0 / rate_hz
        self._last_frame: RecordedFrame | None = None  # as it was yielded
        self._number_offset, self._time_offset_s = 0, 0.0  # added in this file

    def renumber(self, frames: Iterator[RecordedFrame]) -> Iterator[RecordedFrame]:
        """Yield the frames of the next file, renumbered if necessary."""
        is_first = True
        for frame in frames:
            if is_first:
                self._start_file(frame)
            is_first = False
            self._last_frame = self._shift(frame)
            yield self._last_frame

    def _start_file(self, frame: RecordedFrame) -> None:
        last, first = self._last_frame, self._shift(frame)
        if last is None:
            return
        # A volume may continue in the next file: then the number stays the same.
        if _frame_order(first) > _frame_order(last) and first.t_s >= last.t_s:
            return
        self._number_offset = last.number + 1 - frame.number
        self._time_offset_s = last.t_s + self._period_s - frame.t_s

    def _shift(self, frame: RecordedFrame) -> RecordedFrame:
        return replace(
            frame,
            number=frame.number + self._number_offset,
            t_s=frame.t_s + self._time_offset_s,
        )


class RecordingSeries(Recording):
    """Several files as one recording; each is open only while it is read.

    All files must have the shape, pixel type, channels and planes of the first. Raises
    `RecordingError`.
    """

    def __init__(self, paths: Sequence[Path], opener: RecordingOpener) -> None:
        self._paths, self._opener = list(paths), opener
        self._current = self._opener(self._paths[0])
        first = self._current
        self.name = f"{first.name} and {len(self._paths) - 1} more"
        self.shape, self.dtype, self.rate_hz = first.shape, first.dtype, first.rate_hz
        self.channels, self.planes = first.channels, first.planes
        self.um_per_px = first.um_per_px
        notices: list[str] = []
        n_frames = 0
        for path in self._paths:
            with self._open_file(path) as recording:
                n_frames += recording.n_frames or 0
                notices += [recording.notice] if recording.notice else []
        self.n_frames = n_frames
        self.notice = "; ".join(dict.fromkeys(notices))

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames of all files; numbers and times increase throughout."""
        renumbering = FrameRenumbering(self.rate_hz)
        for path in self._paths:
            self.close()
            self._current = self._open_file(path)
            yield from renumbering.renumber(self._current.frames())

    def close(self) -> None:
        """Close the file that is being read."""
        self._current.close()

    def _open_file(self, path: Path) -> Recording:
        recording = self._opener(path)
        require_same_layout(recording, self, path)
        return recording


def require_same_layout(recording: Recording, first: Recording, path: Path) -> None:
    """Close and raise `RecordingError` if a file differs from the first one."""
    if _layout_of(recording) != _layout_of(first):
        recording.close()
        raise RecordingError(
            f"{path} holds {_describe_layout(recording)}, but the series began with "
            f"{_describe_layout(first)}; replay that file by itself"
        )


def find_series_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of the one series that matches, in the order of their numbers.

    Names end in numbers, as ScanImage writes them: name_00001_00002.tif. Raises
    `RecordingError` if there is no file or more than one series.
    """
    files = [path for path in folder.glob(pattern) if path.is_file()]
    if not files:
        raise RecordingError(f"no file {pattern} is in {folder}")
    stems = sorted({_series_stem(path) for path in files})
    if len(stems) > 1:
        raise RecordingError(
            f"{folder} holds {len(stems)} recordings: {', '.join(stems)}; name the "
            f"files of one, such as '{stems[0]}*{files[0].suffix}'"
        )
    return sorted(files, key=_sort_key)


def list_next_paths(path: Path) -> list[Path]:
    """Return possible names of the next file: the next part, or acquisition."""
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


def _series_stem(path: Path) -> str:
    return re.sub(r"(_?\d+)*$", "", path.stem)


def _sort_key(path: Path) -> tuple[list[int], str]:
    tail = path.stem[len(_series_stem(path)) :]
    return [int(number) for number in re.findall(r"\d+", tail)], path.name


def _frame_order(frame: RecordedFrame) -> tuple[int, int, int]:
    return frame.number, frame.plane, frame.channel


def _layout_of(recording: Recording) -> tuple[object, ...]:
    return recording.shape, recording.dtype, recording.channels, recording.planes


def _describe_layout(recording: Recording) -> str:
    lines, pixels = recording.shape
    return (
        f"{recording.dtype} {lines} x {pixels} of channels "
        f"{list(recording.channels)} at {len(recording.planes)} plane(s)"
    )
