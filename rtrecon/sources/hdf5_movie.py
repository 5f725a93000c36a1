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


@dataclass(frozen=True)
class _MovieDataset:
    """The images in a file, and what the file stores about them.

    data: (time, lines, pixels), or four axes with the planes last. is_transposed:
    pixels come before lines. times_s: a dataset, or None.
    """

    data: h5py.Dataset
    is_transposed: bool = False
    rate_hz: float | None = None
    times_s: h5py.Dataset | None = None
    start_s: float = 0.0


class Hdf5Movie(Recording):
    """A dataset of an HDF5 file or a TwoPhotonSeries of an NWB file.

    `hints.dataset` is the path of the dataset in the file; empty if the file holds only
    one. A dataset is (time, lines, pixels) or (time, lines, pixels, planes); NWB stores
    x before y. Frames are numbered from 1 and carry the file's times, if it has any.
    Raises `RecordingError`.
    """

    def __init__(self, path: Path, hints: RecordingHints) -> None:
        self.name = path.name
        self._path = path
        with ExitStack() as stack:
            file = stack.enter_context(open_hdf5(path))
            self._movie = _find_movie(file, hints.dataset)
            data = self._movie.data
            self._n_times = data.shape[0]
            if not self._n_times or len(data.shape) not in (3, 4):
                raise RecordingError(
                    f"{data.name} has shape {list(data.shape)}; (frames, lines, "
                    "pixels) or (frames, lines, pixels, planes) are needed"
                )
            first = self._read_images(0, 1)[0]
            self.shape = (first.shape[1], first.shape[2])
            self.dtype = choose_pixel_type(data.dtype, first)
            self.channels = hints.select_channels((1,))
            self.planes = tuple(map(float, range(first.shape[0])))
            self.rate_hz = hints.resolve_rate_hz(self._read_rate_hz())
            self.n_frames = self._n_times * len(self.planes)
            self._open_file = stack.pop_all()

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames, read in blocks of whole chunks."""
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
            block = self._movie.data[start:stop]
        except Exception as error:  # damaged chunks, unknown filters, a closed file
            raise RecordingError(
                f"{self._path}: frame {start + 1} cannot be read: {error}"
            ) from None
        block = block[..., None] if block.ndim == 3 else block
        axes = (0, 3, 2, 1) if self._movie.is_transposed else (0, 3, 1, 2)
        return np.transpose(block, axes)

    def _count_block_frames(self) -> int:
        data = self._movie.data
        image_bytes = math.prod(data.shape[1:]) * data.dtype.itemsize
        max_frames = max(1, _MAX_BLOCK_BYTES // image_bytes)
        frames_per_chunk = data.chunks[0] if data.chunks else 1
        return min(max_frames, frames_per_chunk)

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


def _find_movie(file: h5py.File, name: str) -> _MovieDataset:
    found = file.get(name) if name else _find_only_movie(file)
    if isinstance(found, h5py.Dataset):
        return _MovieDataset(found)
    if isinstance(found, h5py.Group) and _neurodata_type(found) == "TwoPhotonSeries":
        return _read_two_photon_series(found)
    names = ", ".join(_list_movies(file)) or "none"
    raise RecordingError(f"{name} is not a dataset in it; its datasets are {names}")


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
    start = series.get("starting_time")
    if start is None:
        times_s = series.get("timestamps")
        return _MovieDataset(data, is_transposed=True, times_s=times_s)
    rate_hz = float(start.attrs.get("rate", math.nan))
    return _MovieDataset(
        data,
        is_transposed=True,
        rate_hz=rate_hz if rate_hz > 0 else None,
        start_s=float(start[()]),
    )


def _decode_text(text: Any) -> str:
    return text.decode() if isinstance(text, bytes) else str(text)
