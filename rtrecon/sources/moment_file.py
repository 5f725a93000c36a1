"""Reads a TIFF file that holds one moment of a time-lapse, if it is complete."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rtrecon.core.types import Array
from rtrecon.sources.acquisition_times import read_times
from rtrecon.sources.image_coordinates import read_coordinates
from rtrecon.sources.plain_tiff import TiffImages
from rtrecon.sources.recording import RecordingError, RecordingHints
from rtrecon.sources.series_names import SeriesFile
from rtrecon.sources.tiff_file import count_whole_pages


@dataclass(frozen=True)
class MomentImages:
    """What a file of one moment holds.

    images: by channel (from 1), of the first plane. t_s: when the first was acquired,
    on a clock that all files of the time-lapse share; None if unknown. um_per_px,
    rate_hz: None if unknown. n_planes: how many planes the file holds.
    """

    images: dict[int, Array]
    t_s: float | None
    um_per_px: float | None
    rate_hz: float | None
    n_planes: int = 1


def read_moment(file: SeriesFile) -> MomentImages | None:
    """Return the images of a file; None if it is not complete, or cannot be read."""
    with suppress(RecordingError, OSError):  # its writer may have locked it
        return _read_moment(file.path, file.channel)
    return None


def _read_moment(path: Path, channel_of_name: int | None) -> MomentImages | None:
    with TiffImages(path) as file:
        n_whole, is_cut_off = count_whole_pages(file.tiff)
        if not n_whole or is_cut_off:
            return None
        found = read_coordinates(file.tiff, file.n_images, RecordingHints())
        images: dict[int, Array] = {}
        for index, (time, plane, channel) in enumerate(found.indices.tolist()):
            if time == found.indices[0, 0] and plane == 0:
                images[channel + 1] = file.read_image(index)
        if channel_of_name is not None:
            images = {channel_of_name: file.read_image(0)}
        times_s = found.times_s
        if times_s is None:
            times_s = read_times(file.tiff, 1)
    return MomentImages(
        images,
        None if times_s is None else float(times_s[0]),
        found.um_per_px,
        found.rate_hz,
        1 + int(found.indices[:, 1].max()),
    )
