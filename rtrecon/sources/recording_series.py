"""One recording in several files: parts of an acquisition, or files of a LOOP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rtrecon.sources.frame_renumbering import FrameRenumbering
from rtrecon.sources.recording import RecordedFrame, Recording, RecordingError
from rtrecon.sources.series_names import SeriesFile, count_missing_files

RecordingOpener = Callable[[Path], Recording]


class RecordingSeries(Recording):
    """Several files as one recording; each is open only while it is read.

    All files must have the shape, pixel type, channels and planes of the first. Where
    the numbers of the files have a gap and the next file counts from 1, the count
    leaves a gap of as many frames as the file before has. Raises `RecordingError`.
    """

    def __init__(self, files: Sequence[SeriesFile], opener: RecordingOpener) -> None:
        self._paths, self._opener = [file.path for file in files], opener
        self._n_missing_files = count_missing_files(files)
        self._current = self._opener(self._paths[0])
        first = self._current
        self.name = f"{first.name} and {len(self._paths) - 1} more"
        self.shape, self.dtype, self.rate_hz = first.shape, first.dtype, first.rate_hz
        self.channels, self.planes = first.channels, first.planes
        self.um_per_px = first.um_per_px
        self._n_volumes: list[int] = []  # in each file
        self._add_notice(describe_missing_files(files))
        n_frames = 0
        for path in self._paths:
            with self._open_file(path) as recording:
                n_frames += recording.n_frames or 0
                self._add_notice(recording.notice)
                frames_per_volume = len(self.channels) * len(self.planes)
                self._n_volumes.append((recording.n_frames or 0) // frames_per_volume)
        self.n_frames = n_frames

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames of all files; numbers and times increase throughout."""
        renumbering = FrameRenumbering(self.rate_hz)
        n_before = [0, *self._n_volumes]
        for k, path in enumerate(self._paths):
            self.close()
            self._current = self._open_file(path)
            n_missing = self._n_missing_files[k] * n_before[k]
            yield from renumbering.renumber(self._current.frames(), n_missing)
            self._add_notice(self._current.notice)  # restarts are found while reading

    def close(self) -> None:
        """Close the file that is being read."""
        self._current.close()

    def _open_file(self, path: Path) -> Recording:
        recording = self._opener(path)
        require_same_layout(recording, self, path)
        return recording

    def _add_notice(self, notice: str) -> None:
        if notice not in self.notice:
            self.notice = "; ".join(filter(None, [self.notice, notice]))


def describe_missing_files(files: Sequence[SeriesFile]) -> str:
    """Return a sentence if numbers are missing between the names of the files."""
    n_missing = count_missing_files(files)
    names = [
        f"{before.path.name} and {after.path.name}"
        for before, after, n in zip(files, files[1:], n_missing[1:], strict=False)
        if n
    ]
    if not names:
        return ""
    return (
        f"{sum(n_missing)} file(s) seem to be missing, the first between {names[0]}; "
        "the count of frames leaves a gap for them"
    )


def require_same_layout(recording: Recording, first: Recording, path: Path) -> None:
    """Close and raise `RecordingError` if a file differs from the first one."""
    if _layout_of(recording) != _layout_of(first):
        recording.close()
        raise RecordingError(
            f"{path} holds {_describe_layout(recording)}, but the series began with "
            f"{_describe_layout(first)}; replay that file by itself"
        )


def _layout_of(recording: Recording) -> tuple[object, ...]:
    return recording.shape, recording.dtype, recording.channels, recording.planes


def _describe_layout(recording: Recording) -> str:
    lines, pixels = recording.shape
    return (
        f"{recording.dtype} {lines} x {pixels} of channels "
        f"{list(recording.channels)} at {len(recording.planes)} plane(s)"
    )
