"""Reference stacks: one image for each plane around the imaged plane.

ScanImage records a stack slowly (all images of a plane, then those of the next) or by
fast z (volume after volume); the images of each plane are averaged. In any other TIFF
file each page is a plane.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.sources.recording import RecordingError, RecordingHints
from rtrecon.sources.scanimage_header import read_header
from rtrecon.sources.scanimage_stacks import (
    count_slices,
    is_slow_stack,
    read_depths_um,
)
from rtrecon.sources.scanimage_tiff import ScanImageTiff

# How ImageJ may spell micrometre; the last is how ImageJ escapes µ.
_MICROMETRE_SPELLINGS = (
    *("um", "µm", "μm", "micron", "microns", "micrometer"),
    "\\u00B5m",
)
_MAX_UNEVENNESS = 0.1  # of a step: the depths may be measured ones


class StackError(UserError):
    """A stack cannot be used; the text names it and gives the reason."""


def read_stack(
    path: Path | str, channel: int | None = None
) -> tuple[Array, float | None]:
    """Return planes (n, lines, pixels) float32 from the top, and their distance in um.

    The distance is None if the file does not store it. channel: of a ScanImage file,
    from 1; None = the first that was saved. Raises `StackError`.
    """
    path = Path(path)
    if not path.is_file():
        raise StackError(f"stack {path} does not exist")
    try:
        with tifffile.TiffFile(path) as tiff:
            planes, step_um = _read_planes(tiff, path, channel)
    except RecordingError as error:
        raise StackError(f"{path} cannot be used as a stack: {error}") from None
    except Exception as error:  # damaged files break tifffile in many ways
        raise StackError(f"{path} is not a readable TIFF file: {error}") from None
    if step_um is not None and step_um < 0:
        return planes[::-1].copy(), -step_um
    return planes, step_um


def _read_planes(
    tiff: tifffile.TiffFile, path: Path, channel: int | None
) -> tuple[Array, float | None]:
    if not tiff.is_scanimage:
        return _read_plain_planes(tiff), _read_imagej_step_um(tiff)
    metadata = tiff.scanimage_metadata or {}
    settings: Any = metadata.get("FrameData")
    if isinstance(settings, dict) and is_slow_stack(settings):
        images = _read_slow_stack(tiff, metadata, channel)
        return _average_by_plane(images), _compute_step_um(read_depths_um(settings))
    with ScanImageTiff(path, channel) as recording:
        first = recording.channels[0]
        frames = (f for f in recording.frames() if f.channel == first)
        planes = _average_by_plane((frame.plane, frame.pixels) for frame in frames)
        return planes, _compute_step_um(recording.planes)


def _read_plain_planes(tiff: tifffile.TiffFile) -> Array:
    series: Any = tiff.series[0]
    if len(series.shape) != 3 or series.dtype.kind not in "uif":
        raise RecordingError(
            f"it holds {series.dtype} of shape {list(series.shape)}; (planes, lines, "
            "pixels) of numbers are needed, one image for each plane"
        )
    planes = np.asarray(series.asarray(), np.float32)
    if not np.isfinite(planes).all():
        raise RecordingError("some of its pixels are not finite")
    return planes


def _read_imagej_step_um(tiff: tifffile.TiffFile) -> float | None:
    metadata: Any = tiff.imagej_metadata or {}
    spacing = metadata.get("spacing")
    unit = str(metadata.get("zunit", metadata.get("unit")))
    return float(spacing) if unit in _MICROMETRE_SPELLINGS and spacing else None


def _read_slow_stack(
    tiff: tifffile.TiffFile, metadata: dict[str, Any], channel: int | None
) -> Iterator[tuple[int, Array]]:
    """Yield (plane, image) of one channel, in the order of the file."""
    settings = metadata["FrameData"]
    # Each plane by itself is like a recording without a stack.
    plane_settings = settings | {"SI.hStackManager.enable": False}
    header = read_header(plane_settings, metadata.get("RoiGroups") or {})
    (selected, *_) = RecordingHints(channel).select_channels(header.channels)
    images_per_plane = header.n_requested or 1
    n_planes, n_channels = count_slices(settings), len(header.channels)
    first_page = header.channels.index(selected)
    pages = range(first_page, len(tiff.pages), n_channels)
    for image, page in enumerate(pages):
        yield image // images_per_plane % n_planes, tiff.pages[page].asarray()


def _average_by_plane(images: Iterable[tuple[int, Array]]) -> Array:
    """Average the images of each plane; planes count from 0 and none may be missing.

    A stack that was stopped early has fewer planes.
    """
    sums: list[Array] = []
    counts: list[int] = []
    for plane, pixels in images:
        if plane == len(sums):
            sums.append(np.zeros(pixels.shape))
            counts.append(0)
        sums[plane] += pixels
        counts[plane] += 1
    if len(sums) < 2:
        raise RecordingError(
            f"it holds {len(sums)} plane; a stack of the planes around the imaged one "
            "is needed"
        )
    return np.array(
        [total / count for total, count in zip(sums, counts, strict=True)], np.float32
    )


def _compute_step_um(depths_um: Sequence[float]) -> float | None:
    """Return the distance of neighbouring planes in um; None if unknown.

    The distance is negative if the stack begins at the bottom.
    """
    steps = np.diff(depths_um)
    step_um = float(np.mean(steps))
    if np.abs(steps - step_um).max() > _MAX_UNEVENNESS * abs(step_um):
        raise RecordingError(
            f"its planes lie at {list(depths_um)} um; they must be evenly spaced"
        )
    return step_um or None
