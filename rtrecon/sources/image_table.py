"""Where the image of each time, plane and channel of a movie lies: `ImageTable`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtrecon.core.types import Array

_MAX_CHANNELS = 4  # detectors of a microscope


@dataclass(frozen=True)
class ImageCoordinates:
    """What each image of a file shows.

    indices: (images, 3) int, the time, plane and channel of each, from 0; -1 for an
    image of another movie. plane_step_um: None if unknown. rate_hz: of volumes; None if
    unknown. um_per_px: size of a pixel; None if unknown. times_s: (images,) float64,
    when each was acquired; None if unknown. notice: a sentence for the user about what
    was assumed, else empty.
    """

    indices: Array
    plane_step_um: float | None = None
    rate_hz: float | None = None
    notice: str = ""
    um_per_px: float | None = None
    times_s: Array | None = None


@dataclass(frozen=True)
class ImageTable:
    """Where each image of a movie lies.

    files: paths. locations: (times, planes, channels, 2) int, the index of the file and
    of the image in the file, from 0; -1 if the image does not exist. channels: numbers
    from 1. planes: depths in um. times_s: (times,) float64, when each was acquired;
    None if unknown. um_per_px, rate_hz, notice: see `ImageCoordinates`.
    """

    files: tuple[Path, ...]
    locations: Array
    channels: tuple[int, ...]
    planes: tuple[float, ...]
    rate_hz: float | None = None
    um_per_px: float | None = None
    notice: str = ""
    times_s: Array | None = None

    def count_frames(self, channels: Sequence[int]) -> int:
        """Return how many images of these channels exist."""
        columns = [self.channels.index(channel) for channel in channels]
        return int(np.count_nonzero(self.locations[:, :, columns, 0] >= 0))


def build_image_table(
    files: Sequence[tuple[Path, ImageCoordinates]],
) -> ImageTable | None:
    """Join what is known about the files of one movie.

    Returns None if two images have the same time, plane and channel: then each file
    counts its times from 0, and the files are not parts of one count.
    """
    first = files[0][1]
    images = np.concatenate(
        [
            np.column_stack(
                [part.indices, np.full(len(part.indices), k), range(len(part.indices))]
            )
            for k, (_, part) in enumerate(files)
        ]
    )
    images = images[images[:, 0] >= 0]
    shape = images[:, :3].max(axis=0, initial=0) + 1
    locations = np.full((*shape, 2), -1, np.int64)
    locations[tuple(images[:, :3].T)] = images[:, 3:]
    if np.count_nonzero(locations[..., 0] >= 0) < len(images):
        return None
    # A file of a series may hold one channel of several.
    (present,) = np.nonzero((locations[..., 0] >= 0).any(axis=(0, 1)))
    notices = dict.fromkeys(part.notice for _, part in files if part.notice)
    step_um = first.plane_step_um or 1.0
    table = ImageTable(
        files=tuple(path for path, _ in files),
        locations=locations[:, :, present],
        channels=tuple(int(k) + 1 for k in present),
        planes=tuple(k * step_um for k in range(shape[1])),
        rate_hz=first.rate_hz,
        um_per_px=first.um_per_px,
        notice="; ".join(notices),
        times_s=_join_times(files, len(locations)),
    )
    if shape[0] > 1:
        return table
    if shape[1] > 1:
        return _read_as_times(table, axis=1, name="planes (slices)")
    if shape[2] > _MAX_CHANNELS:
        return _read_as_times(table, axis=2, name="channels")
    return table


def _join_times(
    files: Sequence[tuple[Path, ImageCoordinates]], n_times: int
) -> Array | None:
    """Return (n_times,) s, when the first image of each time was acquired.

    None if this is unknown for a time, or if the times do not increase.
    """
    times_s = np.full(n_times, np.inf)
    for _, part in files:
        if part.times_s is None:
            return None
        is_used = part.indices[:, 0] >= 0
        np.minimum.at(times_s, part.indices[is_used, 0], part.times_s[is_used])
    is_known = bool(np.isfinite(times_s).all())
    return times_s if is_known and (np.diff(times_s) > 0).all() else None


def describe_missing_images(n_named: int, n_images: int) -> str:
    """Return a sentence if a file names more images than it holds; else ""."""
    if n_named <= n_images:
        return ""
    return (
        f"its description names {n_named} images, but it holds {n_images}; the "
        "acquisition was stopped, or the file is not complete"
    )


def _read_as_times(table: ImageTable, axis: int, name: str) -> ImageTable:
    """Exchange an axis and the times: images of a single time are no movie.

    Without hints on the axes, ImageJ calls the images of a stack slices, and
    tifffile calls them channels in OME-XML.
    """
    n_images = table.locations.shape[axis]
    assumption = (
        f"the file calls its images {n_images} {name} of one time; they are read as "
        "times"
    )
    return replace(
        table,
        locations=table.locations.swapaxes(0, axis),
        times_s=None,
        planes=(0.0,),
        channels=table.channels if axis == 1 else (1,),
        notice="; ".join(filter(None, [table.notice, assumption])),
    )
