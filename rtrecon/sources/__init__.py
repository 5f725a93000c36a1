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


_SESSION_FILES = ("about.json", "arrays.zarr")  # of a session that rtrecon recorded


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
    recording = _open_path(path, hints)
    recording.um_per_px = hints.um_per_px or recording.um_per_px
    return recording


def _open_path(path: Path, hints: RecordingHints) -> Recording:
    if "*" in path.name or ("?" in path.name and not path.exists()):
        return _open_series(path.parent, path.name, hints, is_explicit=True)
    if path.is_dir():
        return _open_folder(path, hints)
    if not path.is_file():
        raise RecordingError(
            f"recording {path} does not exist; it can be {registry.describe_formats()}"
        )
    recording = _open_file(path, hints)
    recording.notice = "; ".join(
        filter(None, [recording.notice, _describe_other_files(path)])
    )
    return recording


def _open_file(path: Path, hints: RecordingHints) -> Recording:
    recording_format = registry.find_format(path)
    try:
        return recording_format.open(path, hints)
    except RecordingError as error:
        raise RecordingError(f"{path} cannot be opened: {error}") from None


def _describe_other_files(path: Path) -> str:
    """Return a sentence if a TIFF is only one of several files of a recording."""
    from rtrecon.sources.series_names import find_files_of_series

    if not path.suffix.lower().startswith(".tif"):
        return ""
    n_files = len(find_files_of_series(path))
    if n_files < 2:
        return ""
    return (
        f"only {path.name} is read, one of {n_files} files whose names differ in their "
        "numbers; name the folder or a pattern with * to read all"
    )


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
    if all((folder / name).exists() for name in _SESSION_FILES):
        raise RecordingError(
            f"{folder} is a session that rtrecon recorded, not a recording of the "
            "microscope; give the file that the microscope's own program saved"
        )
    for name in (name for entry in registry.FORMATS for name in entry.folder_files):
        if (folder / name).is_file():
            return _open_path(folder / name, hints)
    return _open_series(folder, "*.tif*", hints)


def _open_series(
    folder: Path, pattern: str, hints: RecordingHints, is_explicit: bool = False
) -> Recording:
    from rtrecon.sources.recording_series import RecordingSeries
    from rtrecon.sources.series_names import find_series_files
    from rtrecon.sources.tiff_series import open_tiff_series

    files = find_series_files(folder, pattern, is_explicit, hints.position)
    if len(files) == 1:
        return _open_path(files[0].path, hints)
    try:
        movie = open_tiff_series(files, hints)
    except RecordingError as error:
        raise RecordingError(f"{folder / pattern} cannot be opened: {error}") from None
    return movie or RecordingSeries(files, lambda path: _open_file(path, hints))
