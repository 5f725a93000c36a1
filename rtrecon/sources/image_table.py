"""Where the image of each time, plane and channel of a movie lies: `ImageTable`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtrecon.core.types import Array


@dataclass(frozen=True)
class ImageCoordinates:
    """What each image of a file shows.

    indices: (images, 3) int, the time, plane and channel of each, from 0; -1 for an
    image of another movie. plane_step_um: None if unknown. rate_hz: of volumes; None if
    unknown. notice: a sentence for the user about what was assumed, else empty.
    """

    indices: Array
    plane_step_um: float | None = None
    rate_hz: float | None = None
    notice: str = ""


@dataclass(frozen=True)
class ImageTable:
    """Where each image of a movie lies.

    files: paths. locations: (times, planes, channels, 2) int, the index of the file and
    of the image in the file, from 0; -1 if the image does not exist. channels: numbers
    from 1. planes: depths in um. rate_hz, notice: see `ImageCoordinates`.
    """

    files: tuple[Path, ...]
    locations: Array
    channels: tuple[int, ...]
    planes: tuple[float, ...]
    rate_hz: float | None = None
    notice: str = ""

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
    notices = dict.fromkeys(part.notice for _, part in files if part.notice)
    step_um = first.plane_step_um or 1.0
    table = ImageTable(
        files=tuple(path for path, _ in files),
        locations=locations,
        channels=tuple(range(1, shape[2] + 1)),
        planes=tuple(k * step_um for k in range(shape[1])),
        rate_hz=first.rate_hz,
        notice="; ".join(notices),
    )
    return _read_planes_as_times(table) if shape[0] == 1 < shape[1] else table


def _read_planes_as_times(table: ImageTable) -> ImageTable:
    """Exchange planes and times: a single stack is no movie, so its planes are times.

    ImageJ calls the images of any stack slices, unless it is told that they are times.
    """
    assumption = (
        f"the file calls its {len(table.planes)} images slices, but has only one time; "
        "they are read as times of one plane"
    )
    return replace(
        table,
        locations=table.locations.swapaxes(0, 1),
        planes=(0.0,),
        notice="; ".join(filter(None, [table.notice, assumption])),
    )
