"""What the images of a TIFF file show, as described by the program that wrote it.

Read are ImageJ's description, OME-XML, the index of Micro-Manager and NDTiff, and the
axes of tifffile. If none is there, the hints of the user decide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from rtrecon.core.types import Array
from rtrecon.sources.acquisition_times import read_times
from rtrecon.sources.image_table import ImageCoordinates, describe_missing_images
from rtrecon.sources.ome_xml import read_ome_coordinates
from rtrecon.sources.pixel_size import read_um_per_px
from rtrecon.sources.recording import RecordingError, RecordingHints

_AXES = "TZC"  # the columns of `ImageCoordinates.indices`
_GREY_AXES = 2  # lines and pixels, the last axes of a stack
_NDTIFF_INDEX = "NDTiff.index"


def read_coordinates(
    tiff: tifffile.TiffFile, n_images: int, hints: RecordingHints
) -> ImageCoordinates:
    """Return what the images of a file show; raises `RecordingError`.

    The numbers of channels and planes in the hints replace those in the file.
    """
    found = _find_coordinates(tiff, n_images, hints)
    times_s = found.times_s
    if times_s is None:
        times_s = read_times(tiff, n_images)
    return replace(found, um_per_px=read_um_per_px(tiff), times_s=times_s)


def _find_coordinates(
    tiff: tifffile.TiffFile, n_images: int, hints: RecordingHints
) -> ImageCoordinates:
    if hints.n_channels or hints.n_planes:
        return _repeat_pattern(hints.n_planes or 1, hints.n_channels or 1, n_images)
    found = (
        _read_imagej(tiff, n_images)
        or _read_micro_manager(tiff, n_images)
        or _read_ndtiff(tiff, n_images)
        or _read_ome(tiff, n_images)
        or _read_tifffile(tiff, n_images)
    )
    return found or _assume_times(n_images)


def list_coordinates(axes: str, sizes: Sequence[int], n_images: int) -> Array:
    """Return (n, 3) int: time, plane and channel of images that follow each other.

    axes: letters T, Z and C, the slowest first; sizes: of each. If T is the slowest,
    there may be more images than `sizes` allow; otherwise `RecordingError` is raised.
    """
    n_named = math.prod(sizes)
    if n_images > n_named and axes[0] != "T":
        raise RecordingError(
            f"its description names {n_named} images, but it holds {n_images}; give "
            "--n-channels and --n-planes"
        )
    sizes = [max(sizes[0], math.ceil(n_images / math.prod(sizes[1:]))), *sizes[1:]]
    by_axis = np.unravel_index(np.arange(n_images), sizes)
    found = dict(zip(axes, by_axis, strict=True))
    zeros = np.zeros(n_images, np.int64)
    return np.column_stack([found.get(axis, zeros) for axis in _AXES])


def _repeat_pattern(n_planes: int, n_channels: int, n_images: int) -> ImageCoordinates:
    if min(n_planes, n_channels) < 1:
        raise RecordingError(
            f"{n_channels} channels of {n_planes} planes are impossible; give 1 or more"
        )
    sizes = (1, n_planes, n_channels)
    return ImageCoordinates(list_coordinates("TZC", sizes, n_images))


def _assume_times(n_images: int) -> ImageCoordinates:
    indices = list_coordinates("TZC", (n_images, 1, 1), n_images)
    if n_images == 1:
        return ImageCoordinates(indices)
    return ImageCoordinates(
        indices,
        notice="the file does not describe its images; they are read as times of "
        "one channel and plane (else give --n-channels or --n-planes)",
    )


def _read_imagej(tiff: tifffile.TiffFile, n_images: int) -> ImageCoordinates | None:
    metadata = tiff.imagej_metadata
    if not metadata:
        return None
    names = {"C": "channels", "Z": "slices", "T": "frames"}
    n_each = {axis: int(metadata.get(name, 1)) for axis, name in names.items()}
    order = str(metadata.get("order", "czt")).upper()[::-1]
    axes = order if sorted(order) == sorted(_AXES) else "TZC"
    indices = list_coordinates(axes, [n_each[axis] for axis in axes], n_images)
    period_s, unit = metadata.get("finterval"), str(metadata.get("tunit", "sec"))
    is_in_s = isinstance(period_s, int | float) and unit.startswith("s")
    spacing = metadata.get("spacing")
    return ImageCoordinates(
        indices,
        plane_step_um=spacing if isinstance(spacing, int | float) else None,
        rate_hz=1 / period_s if is_in_s and period_s and period_s > 0 else None,
        notice=describe_missing_images(math.prod(n_each.values()), n_images),
    )


def _read_micro_manager(
    tiff: tifffile.TiffFile, n_images: int
) -> ImageCoordinates | None:
    if not tiff.is_micromanager or tiff.is_ndtiff:
        return None
    metadata = tiff.micromanager_metadata or {}
    index_map, summary = metadata.get("IndexMap"), metadata.get("Summary") or {}
    if index_map is None or len(index_map) != n_images:
        return None  # the index is written last: the acquisition was interrupted
    by_place = np.asarray(index_map, np.int64)
    by_place = by_place[by_place[:, 4].argsort()]  # by the offset in the file
    channels, planes, times, positions, _ = by_place.T
    step_um = summary.get("z-step_um")
    return _select_position(
        np.column_stack([times, planes, channels]),
        positions,
        float(step_um) if isinstance(step_um, int | float) and step_um > 0 else None,
    )


def _read_ndtiff(tiff: tifffile.TiffFile, n_images: int) -> ImageCoordinates | None:
    index_file = Path(tiff.filehandle.dirname) / _NDTIFF_INDEX
    if not tiff.is_ndtiff or not index_file.is_file():
        return None
    try:
        entries: list[Any] = list(tifffile.tifffile.read_ndtiff_index(index_file))
    except Exception as error:  # damaged files break tifffile in many ways
        raise RecordingError(f"{index_file} cannot be read: {error}") from None
    names: dict[str, dict[Any, int]] = {}

    def get_index(axes: dict[str, Any], name: str) -> int:
        value = axes.get(name, 0)
        if isinstance(value, int):
            return value
        known = names.setdefault(name, {})  # channels may have names
        return known.setdefault(value, len(known))

    # Names and depths are numbered in all files of the movie alike.
    axis_names = ("time", "z", "channel", "position")
    indices = np.array(
        [[get_index(entry[0], name) for name in axis_names] for entry in entries],
        np.int64,
    ).reshape(-1, len(axis_names))
    indices[:, 1] -= indices[:, 1].min(initial=0)  # z is counted from the middle
    here = indices[[entry[1] == tiff.filename for entry in entries]]
    if len(here) != n_images:
        return None
    return _select_position(here[:, :3], here[:, 3])


def _select_position(
    indices: Array, positions: Array, plane_step_um: float | None = None
) -> ImageCoordinates:
    """Leave out the images of other stage positions than the first."""
    n_positions = len(np.unique(positions))
    first = int(positions.min()) if len(positions) else 0
    notice = ""
    if n_positions > 1:
        notice = f"it holds {n_positions} stage positions; the first is read"
    is_first = (positions == first)[:, None]
    return ImageCoordinates(
        np.where(is_first, indices, -1), plane_step_um, notice=notice
    )


def _read_ome(tiff: tifffile.TiffFile, n_images: int) -> ImageCoordinates | None:
    if not tiff.is_ome:
        return None
    path = Path(tiff.filehandle.path)
    return read_ome_coordinates(tiff.pages.first.description, path, n_images)


def _read_tifffile(tiff: tifffile.TiffFile, n_images: int) -> ImageCoordinates | None:
    metadata: Any = tiff.shaped_metadata
    if not metadata:
        return None
    shape, axes = metadata[0].get("shape", ()), metadata[0].get("axes", "")
    if len(shape) <= _GREY_AXES or math.prod(shape[:-_GREY_AXES]) != n_images:
        return None
    if not axes:
        _require_one_unnamed_axis(shape)
        return None
    leading = list(zip(axes, shape, strict=False))[:-_GREY_AXES]
    return _read_named_axes(str(axes), leading, n_images)


def _require_one_unnamed_axis(shape: Sequence[int]) -> None:
    """Raise `RecordingError` if more than one axis besides the image is longer than 1.

    A single one is time.
    """
    leading = [size for size in shape[:-_GREY_AXES] if size > 1]
    if len(leading) > 1:
        raise RecordingError(
            f"its shape is {list(shape)}, but it does not name the axes of times, "
            "planes and channels; give --n-channels and --n-planes"
        )


def _read_named_axes(
    axes: str, leading: Iterable[tuple[str, int]], n_images: int
) -> ImageCoordinates:
    used = [(axis, size) for axis, size in leading if size > 1]
    letters = "".join(axis for axis, _ in used)
    others = [axis for axis in letters if axis not in _AXES]
    if len(others) == 1 and "T" not in letters:
        letters = letters.replace(others[0], "T")  # such as I, a sequence of images
        others = []
    if others or len(set(letters)) < len(letters):
        raise RecordingError(
            f"its axes are {axes}; times (T), planes (Z) and channels (C) can be read, "
            "or give --n-channels and --n-planes"
        )
    sizes = [size for _, size in used]
    return ImageCoordinates(
        list_coordinates(letters or "T", sizes or [n_images], n_images)
    )
