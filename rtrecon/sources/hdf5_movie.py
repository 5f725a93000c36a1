"""Reader for movies in HDF5 files: a dataset of images, or NWB's TwoPhotonSeries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rtrecon.core.types import Array
from rtrecon.sources.frame_renumbering import FrameRenumbering
from rtrecon.sources.hdf5 import open_hdf5
from rtrecon.sources.pixels import choose_pixel_type, convert_pixels
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)

# HDF5 decompresses a chunk of several images as a whole, so it is read as a whole.
_MAX_BLOCK_BYTES = 64 * 1024 * 1024
# The median interval of these first frames gives the rate: one pause does not matter.
_N_RATE_FRAMES = 33
_MAX_ASPECT = 4  # of an image; a longer last axis may be that of the frames


@dataclass(frozen=True)
class _MovieDataset:
    """The images in a file, and what the file stores about them.

    axes: of the data, such as "tyx": times (t), lines (y), pixels (x), planes (z).
    times_s: a dataset, or None.
    """

    data: h5py.Dataset
    axes: str
    rate_hz: float | None = None
    times_s: h5py.Dataset | None = None
    start_s: float = 0.0


class Hdf5Movie(Recording):
    """A dataset of an HDF5 file or a TwoPhotonSeries of an NWB file.

    `hints.dataset` is the path of the dataset in the file; empty if the file holds only
    one. A dataset is (time, lines, pixels) or (time, lines, pixels, planes) unless
    `hints.axes` names other axes; NWB stores x before y. Frames are numbered from 1 and
    carry the file's times, if it has any. Raises `RecordingError`.
    """

    def __init__(self, path: Path, hints: RecordingHints) -> None:
        self.name = path.name
        self._path = path
        with ExitStack() as stack:
            file = stack.enter_context(open_hdf5(path))
            self._movie = _find_movie(file, hints)
            data = self._movie.data
            self._time_axis = self._movie.axes.index("t")
            self._n_times = data.shape[self._time_axis]
            if not data.size:
                raise RecordingError(f"{data.name} has shape {list(data.shape)}")
            first = self._read_images(0, 1)[0]
            self.shape = (first.shape[1], first.shape[2])
            self.dtype = choose_pixel_type(data.dtype, first)
            self.channels = hints.select_channels((1,))
            self.planes = tuple(map(float, range(first.shape[0])))
            self.rate_hz = hints.resolve_rate_hz(self._read_rate_hz())
            self.n_frames = self._n_times * len(self.planes)
            self._open_file = stack.pop_all()

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames, read in blocks of whole chunks; their times increase."""
        renumbering = FrameRenumbering(self.rate_hz)
        yield from renumbering.renumber(self._read_stored_frames())
        if renumbering.notice and renumbering.notice not in self.notice:
            self.notice = "; ".join(filter(None, [self.notice, renumbering.notice]))

    def _read_stored_frames(self) -> Iterator[RecordedFrame]:
        step = self._count_block_frames()
        for start in range(0, self._n_times, step):
            images = self._read_images(start, start + step)
            for index, image in enumerate(images, start):
                t_s = self._read_time_s(index)
                for plane, pixels in enumerate(image):
                    name = f"{self._path}: frame {index + 1}"
                    converted = convert_pixels(pixels, self.dtype, name)
                    yield RecordedFrame(index + 1, t_s, converted, plane)

    def close(self) -> None:
        """Close the file."""
        self._open_file.close()

    def _read_images(self, start: int, stop: int) -> Array:
        """Return images (time, planes, lines, pixels)."""
        try:
            before = (slice(None),) * self._time_axis
            block = self._movie.data[(*before, slice(start, stop))]
        except Exception as error:  # damaged chunks, unknown filters, a closed file
            raise RecordingError(
                f"{self._path}: frame {start + 1} cannot be read: {error}"
            ) from None
        axes = self._movie.axes
        if "z" not in axes:
            block, axes = block[..., None], f"{axes}z"
        return np.transpose(block, [axes.index(axis) for axis in "tzyx"])

    def _count_block_frames(self) -> int:
        data = self._movie.data
        image_bytes = data.size // self._n_times * data.dtype.itemsize
        max_frames = max(1, _MAX_BLOCK_BYTES // image_bytes)
        if data.chunks:
            return min(max_frames, int(data.chunks[self._time_axis]))
        # Pixels of one frame that lie far apart are slow to read one frame at a time.
        return max_frames if self._time_axis else 1

    def _read_time_s(self, index: int) -> float:
        if self._movie.times_s is None:
            return self._movie.start_s + index / self.rate_hz
        return float(self._movie.times_s[index])

    def _read_rate_hz(self) -> float | None:
        times_s = self._movie.times_s
        if times_s is None or len(times_s) < 2:
            return self._movie.rate_hz
        period_s = float(np.median(np.diff(times_s[:_N_RATE_FRAMES])))
        return 1 / period_s if period_s > 0 else None


def _find_movie(file: h5py.File, hints: RecordingHints) -> _MovieDataset:
    name = hints.dataset
    found = file.get(name) if name else _find_only_movie(file)
    if isinstance(found, h5py.Dataset):
        return _MovieDataset(found, _find_axes(found, hints.axes.lower()))
    if isinstance(found, h5py.Group) and _neurodata_type(found) == "TwoPhotonSeries":
        return _read_two_photon_series(found)
    names = ", ".join(_list_movies(file)) or "none"
    raise RecordingError(f"{name} is not a dataset in it; its datasets are {names}")


def _find_axes(data: h5py.Dataset, axes: str) -> str:
    """Return the axes that the user named, else "tyx" or "tyxz" if these can be right.

    MATLAB and some exporters store the frames last, as (lines, pixels, frames): these
    would be read as other images. Raises `RecordingError`.
    """
    shape = list(data.shape)
    if axes:
        if "".join(sorted(axes)) not in ("txy", "txyz") or len(axes) != len(shape):
            raise RecordingError(
                f"--axes {axes} does not name the axes of {data.name}, which has shape "
                f"{shape}; write t, y, x and, for planes, z, such as yxt"
            )
        return axes
    if len(shape) not in (3, 4):
        raise RecordingError(
            f"{data.name} has shape {shape}; (frames, lines, pixels) or (frames, "
            "lines, pixels, planes) are needed"
        )
    first, middle, last = shape[0], max(shape[1:-1]), shape[-1]
    is_square_first = first == shape[1] != last
    if last > middle and (is_square_first or last > _MAX_ASPECT * max(first, middle)):
        raise RecordingError(
            f"{data.name} has shape {shape}, which looks as if the frames are last; "
            "give --axes yxt if they are, --axes xyt if the lines come second, and "
            "--axes tyx if the frames are first"
        )
    return "tyxz"[: len(shape)]


def _find_only_movie(file: h5py.File) -> Any:
    names = _list_movies(file)
    if len(names) != 1:
        raise RecordingError(
            f"it holds {len(names)} movies ({', '.join(names) or 'none'}); "
            "name one after the file, such as movie.h5:/data"
        )
    return file[names[0]]


def _list_movies(file: h5py.File) -> list[str]:
    """Return the paths of possible movies; only NWB's series, if there are any."""
    series: list[str] = []
    others: list[str] = []

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if _neurodata_type(item) == "TwoPhotonSeries":
            series.append(f"/{name}")
        elif isinstance(item, h5py.Dataset) and item.ndim in (3, 4):
            others.append(f"/{name}")

    file.visititems(add)
    return sorted(series or others)


def _neurodata_type(item: h5py.Group | h5py.Dataset) -> Any:
    return item.attrs.get("neurodata_type")


def _read_two_photon_series(series: h5py.Group) -> _MovieDataset:
    data = series.get("data")
    if "external_file" in series:
        names = [_decode_text(name) for name in series["external_file"][()]]
        raise RecordingError(
            f"{series.name} stores its images in other files; open {', '.join(names)} "
            "instead"
        )
    if not isinstance(data, h5py.Dataset):
        raise RecordingError(f"{series.name} holds no data")
    if data.ndim not in (3, 4):
        raise RecordingError(f"{series.name} has data of shape {list(data.shape)}")
    axes = "txyz"[: data.ndim]
    start = series.get("starting_time")
    if start is None:
        times_s = series.get("timestamps")
        return _MovieDataset(data, axes, times_s=times_s)
    rate_hz = float(start.attrs.get("rate", math.nan))
    return _MovieDataset(
        data,
        axes,
        rate_hz=rate_hz if rate_hz > 0 else None,
        start_s=float(start[()]),
    )


def _decode_text(text: Any) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)
