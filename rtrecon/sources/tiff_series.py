"""TIFF files that hold the images of one movie together, such as one file per channel.

Names give what PrairieView (Bruker), ThorImage and Micro-Manager wrote into each file;
OME-XML and the indices of Micro-Manager and NDTiff give it for files of any name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtrecon.core.types import Array
from rtrecon.sources.acquisition_times import read_times
from rtrecon.sources.image_coordinates import list_coordinates, read_coordinates
from rtrecon.sources.image_table import (
    ImageCoordinates,
    ImageTable,
    build_image_table,
)
from rtrecon.sources.pixel_size import read_um_per_px
from rtrecon.sources.plain_tiff import TiffImages, TiffStack
from rtrecon.sources.prairie_view import PrairieViewScan, read_prairie_view
from rtrecon.sources.recording import Recording, RecordingError, RecordingHints
from rtrecon.sources.recording_series import describe_missing_files
from rtrecon.sources.series_names import SeriesFile, count_missing_files
from rtrecon.sources.thor import SETTINGS_FILE, read_thor_rate_hz
from rtrecon.sources.tiff_file import is_scanimage

_TIFF_SUFFIXES = (".tif", ".tiff", ".btf")


def open_tiff_series(
    files: Sequence[SeriesFile], hints: RecordingHints
) -> Recording | None:
    """Open files that hold one movie together; None if each file is a part by itself.

    Raises `RecordingError`.
    """
    if any(file.path.suffix.lower() not in _TIFF_SUFFIXES for file in files):
        return None
    if len(_names(files)) == 1 and _have_telling_names(files):
        table: ImageTable | None = _build_table_from_names(files)
    elif hints.n_channels or hints.n_planes:
        table = _build_table_from_hints(files, hints)
    else:
        table = _build_table_from_metadata(files, hints)
    return None if table is None else TiffStack(table, hints)


def _names(files: Sequence[SeriesFile]) -> set[str]:
    return {file.name for file in files}


def _have_telling_names(files: Sequence[SeriesFile]) -> bool:
    """Return whether the names of the files tell what their images show.

    They tell the channel, or each file is one image of a time-lapse, which has its
    time of acquisition inside.
    """
    if all(file.channel is not None for file in files):
        return True
    with TiffImages(files[0].path) as first:
        tiff = first.tiff
        if tiff.is_ome or tiff.is_ndtiff or is_scanimage(tiff) or first.n_images > 1:
            return False
        return read_times(tiff, 1) is not None


def _build_table_from_metadata(
    files: Sequence[SeriesFile], hints: RecordingHints
) -> ImageTable | None:
    with TiffImages(files[0].path) as first:
        tiff = first.tiff
        if not (tiff.is_ome or tiff.is_micromanager or tiff.is_ndtiff):
            return None
    parts = []
    for file in files:
        with TiffImages(file.path) as images:
            try:
                found = read_coordinates(images.tiff, images.n_images, hints)
            except RecordingError as error:
                raise RecordingError(f"{file.path.name}: {error}") from None
            parts.append((file.path, found))
    return build_image_table(parts)


def _build_table_from_hints(
    files: Sequence[SeriesFile], hints: RecordingHints
) -> ImageTable | None:
    """Count images through all files: a part may begin in the middle of a volume."""
    counts = []
    for file in files:
        with TiffImages(file.path) as images:
            if is_scanimage(images.tiff):
                return None
            counts.append(images.n_images)
    sizes = (1, hints.n_planes or 1, hints.n_channels or 1)
    indices = list_coordinates("TZC", sizes, sum(counts))
    parts = np.split(indices, np.cumsum(counts)[:-1])
    return build_image_table(
        [
            (file.path, ImageCoordinates(part))
            for file, part in zip(files, parts, strict=True)
        ]
    )


def _build_table_from_names(files: Sequence[SeriesFile]) -> ImageTable:
    scan = read_prairie_view(files[0].path.parent / f"{files[0].name}.xml")
    if scan is not None and scan.has_planes:
        files = [_move_number_to_plane(file) for file in files]
    facts = {file.path: _read_facts(file.path) for file in files}
    starts, counts = _find_first_times(files, facts)
    channels = sorted({file.channel or 1 for file in files})
    planes = sorted({file.plane or 1 for file in files})
    parts = [
        (
            file.path,
            _make_coordinates(
                (starts[file.counters], counts[file.counters]),
                planes.index(file.plane or 1),
                channels.index(file.channel or 1),
                facts[file.path],
            ),
        )
        for file in files
    ]
    table = build_image_table(parts)
    if table is None:
        raise RecordingError(
            f"{files[0].path.parent} holds two files of the same channel and number"
        )
    return replace(
        table,
        channels=tuple(channels),
        rate_hz=_read_rate_hz(files[0].path.parent, scan),
        um_per_px=scan.um_per_px if scan else facts[files[0].path].um_per_px,
        notice=_describe_named_files(files),
    )


def _move_number_to_plane(file: SeriesFile) -> SeriesFile:
    """Take the cycle as the time, and the number of the file as the plane."""
    *counters, plane = file.counters
    return replace(file, counters=tuple(counters), plane=plane)


@dataclass(frozen=True)
class _FileFacts:
    """How many images a file holds, how large their pixels are, and their times."""

    n_images: int
    um_per_px: float | None
    times_s: Array | None


def _read_facts(path: Path) -> _FileFacts:
    with TiffImages(path) as images:
        n_images, tiff = images.n_images, images.tiff
        return _FileFacts(n_images, read_um_per_px(tiff), read_times(tiff, n_images))


def _find_first_times(
    files: Sequence[SeriesFile], facts: Mapping[Path, _FileFacts]
) -> tuple[dict[tuple[int, ...], int], dict[tuple[int, ...], int]]:
    """Return by counters the time of the files' first images, and their number."""
    by_counters = {file.counters: file for file in sorted(files, key=_get_counters)}
    counts: dict[tuple[int, ...], int] = {}
    for counters, file in by_counters.items():
        counts[counters] = facts[file.path].n_images
    starts: dict[tuple[int, ...], int] = {}
    time = n_before = 0
    n_missing = count_missing_files(list(by_counters.values()))
    for counters, n_files in zip(counts, n_missing, strict=True):
        time += n_files * n_before
        starts[counters] = time
        n_before = counts[counters]
        time += n_before
    return starts, counts


def _get_counters(file: SeriesFile) -> tuple[int, ...]:
    return file.counters


def _make_coordinates(
    times: tuple[int, int], plane: int, channel: int, facts: _FileFacts
) -> ImageCoordinates:
    """Return coordinates of one file. times: the first, and how many."""
    first, n_images = times
    indices = np.full((n_images, 3), (0, plane, channel), np.int64)
    indices[:, 0] = np.arange(first, first + n_images)
    times_s = facts.times_s if facts.n_images == n_images else None
    return ImageCoordinates(indices, times_s=times_s)


def _read_rate_hz(folder: Path, scan: PrairieViewScan | None) -> float | None:
    if scan is not None:
        return scan.rate_hz
    with suppress(RecordingError):  # then the user gives the rate
        return read_thor_rate_hz(folder / SETTINGS_FILE)
    return None


def _describe_named_files(files: Sequence[SeriesFile]) -> str:
    by_counters = {file.counters: file for file in sorted(files, key=_get_counters)}
    return describe_missing_files(list(by_counters.values()))
