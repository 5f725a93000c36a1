"""Recordings of two-photon microscopes, read frame by frame: `open_recording`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from rtrecon.sources import registry
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)

__all__ = [
    "RecordedFrame",
    "Recording",
    "RecordingError",
    "RecordingHints",
    "open_recording",
]


def open_recording(path: Path | str, hints: RecordingHints | None = None) -> Recording:
    """Open a recording of any accepted format; frames are read one after the other.

    path: a file; 'movie.h5:/data' for a dataset of a file; a pattern such as
    'folder/name_*.tif', or a folder, for the files of one series. hints: what the file
    does not store, and which part of it to read. Raises `RecordingError`.

    >>> from rtrecon.sources import RecordingHints, open_recording
    >>> with open_recording("stack.tif", RecordingHints(rate_hz=30.0)) as recording:
    ...     print(recording.shape, recording.rate_hz, recording.n_frames)
    ...     for frame in recording.frames():
    ...         print(frame.number, frame.pixels.mean())
    (12, 16) 30.0 2
    1 100.0
    2 200.0
    """
    hints = hints or RecordingHints()
    path, dataset = _split_dataset(str(path))
    hints = replace(hints, dataset=dataset or hints.dataset)
    if "*" in path.name:
        return _open_series(path.parent, path.name, hints)
    if path.is_dir():
        return _open_folder(path, hints)
    if not path.is_file():
        raise RecordingError(
            f"recording {path} does not exist; it can be {registry.describe_formats()}"
        )
    recording_format = registry.find_format(path)
    try:
        return recording_format.open(path, hints)
    except RecordingError as error:
        raise RecordingError(f"{path} cannot be opened: {error}") from None


def _split_dataset(text: str) -> tuple[Path, str]:
    """Split 'file.h5:/data/set' into file and dataset; other paths have no dataset."""
    suffixes = [
        s[1:]
        for entry in registry.FORMATS
        if entry.has_datasets
        for s in entry.suffixes
    ]
    found = re.fullmatch(rf"(.+\.(?:{'|'.join(suffixes)})):([/\\].*)", text, re.I)
    if found is None:
        return Path(text), ""
    return Path(found[1]), found[2].replace("\\", "/")  # Windows turns / into \


def _open_folder(folder: Path, hints: RecordingHints) -> Recording:
    for name in (name for entry in registry.FORMATS for name in entry.folder_files):
        if (folder / name).is_file():
            return open_recording(folder / name, hints)
    return _open_series(folder, "*.tif*", hints)


def _open_series(folder: Path, pattern: str, hints: RecordingHints) -> Recording:
    from rtrecon.sources.recording_series import RecordingSeries, find_series_files

    paths = find_series_files(folder, pattern)
    if len(paths) == 1:
        return open_recording(paths[0], hints)
    return RecordingSeries(paths, lambda path: open_recording(path, hints))
