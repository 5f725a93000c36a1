"""Movies in HDF5 files: a data set of images, or NWB's TwoPhotonSeries."""

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
from rtrecon.sources.hdf5 import opened
from rtrecon.sources.pixels import as_pixels, pixel_type
from rtrecon.sources.recording import Hints, RecordedFrame, Recording, RecordingError

# Read at once, for a compressed chunk of many images is decompressed as a whole.
_BLOCK_BYTES = 64 * 1024 * 1024
_RATE_FRAMES = 33  # whose intervals give the rate; a pause in one is outvoted


@dataclass(frozen=True)
class _Series:
    """Images in a file, and what it says of them.

    data: (time, lines, pixels) or, with planes at the end, four axes; columns_first:
    pixels come before lines. times_s: a data set, or None.
    """

    data: h5py.Dataset
    columns_first: bool = False
    rate_hz: float | None = None
    times_s: h5py.Dataset | None = None
    start_s: float = 0.0


class Hdf5Movie(Recording):
    """A data set of an HDF5 file or, from NWB, a TwoPhotonSeries.

    dataset: its path in the file; empty for the only one that there is. A data set is
    (time, lines, pixels) or (time, lines, pixels, planes); NWB has x before y. Frames
    are numbered from 1, at the file's times if it has any. Raises `RecordingError`.
    """

    def __init__(self, path: Path, dataset: str, hints: Hints) -> None:
        self.name = path.name
        self._path = path
        with ExitStack() as stack:
            file = stack.enter_context(opened(path))
            self._series = _find(file, dataset)
            data = self._series.data
            self._n_times = data.shape[0]
            if not self._n_times or len(data.shape) not in (3, 4):
                raise RecordingError(
                    f"{data.name} has shape {list(data.shape)}; (frames, lines, "
                    "pixels) or (frames, lines, pixels, planes) are needed"
                )
            first = self._images(0, 1)[0]
            self.shape = (first.shape[1], first.shape[2])
            self.dtype = pixel_type(data.dtype, first)
            self.channels = hints.chosen((1,))
            self.planes = tuple(map(float, range(first.shape[0])))
            self.rate_hz = hints.known_rate_hz(self._said_hz())
            self.n_frames = self._n_times * len(self.planes)
            self._open = stack.pop_all()

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames, read in blocks of whole chunks."""
        step = self._block_frames()
        for start in range(0, self._n_times, step):
            for i, image in enumerate(self._images(start, start + step), start):
                for plane, pixels in enumerate(image):
                    name = f"{self._path}: frame {i + 1}"
                    whole = as_pixels(pixels, self.dtype, name)
                    yield RecordedFrame(i + 1, self._time_s(i), whole, plane)

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def _images(self, start: int, stop: int) -> Array:
        """Return images (time, planes, lines, pixels)."""
        try:
            block = self._series.data[start:stop]
        except Exception as error:  # damaged chunks, unknown filters, a closed file
            raise RecordingError(
                f"{self._path}: frame {start + 1} cannot be read: {error}"
            ) from None
        block = block[..., None] if block.ndim == 3 else block
        axes = (0, 3, 2, 1) if self._series.columns_first else (0, 3, 1, 2)
        return np.transpose(block, axes)

    def _block_frames(self) -> int:
        data = self._series.data
        image_bytes = math.prod(data.shape[1:]) * data.dtype.itemsize
        most = max(1, _BLOCK_BYTES // image_bytes)
        per_chunk = data.chunks[0] if data.chunks else 1
        return min(most, per_chunk)

    def _time_s(self, i: int) -> float:
        if self._series.times_s is None:
            return self._series.start_s + i / self.rate_hz
        return float(self._series.times_s[i])

    def _said_hz(self) -> float | None:
        times = self._series.times_s
        if times is None or len(times) < 2:
            return self._series.rate_hz
        period_s = float(np.median(np.diff(times[:_RATE_FRAMES])))
        return 1 / period_s if period_s > 0 else None


def _find(file: h5py.File, name: str) -> _Series:
    found = file.get(name) if name else _only(file)
    if isinstance(found, h5py.Dataset):
        return _Series(found)
    if isinstance(found, h5py.Group) and _kind(found) == "TwoPhotonSeries":
        return _two_photon(found)
    known = ", ".join(_candidates(file)) or "none"
    raise RecordingError(f"{name} is no data set of it; it holds {known}")


def _only(file: h5py.File) -> Any:
    candidates = _candidates(file)
    if len(candidates) != 1:
        raise RecordingError(
            f"it holds {len(candidates)} movies ({', '.join(candidates) or 'none'}); "
            "name one after the file, such as movie.h5:/data"
        )
    return file[candidates[0]]


def _candidates(file: h5py.File) -> list[str]:
    """Return the paths of what may be a movie; of NWB's own kind, if there is any."""
    series: list[str] = []
    others: list[str] = []

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if _kind(item) == "TwoPhotonSeries":
            series.append(f"/{name}")
        elif isinstance(item, h5py.Dataset) and item.ndim in (3, 4):
            others.append(f"/{name}")

    file.visititems(note)
    return sorted(series or others)


def _kind(item: h5py.Group | h5py.Dataset) -> Any:
    return item.attrs.get("neurodata_type")


def _two_photon(series: h5py.Group) -> _Series:
    data = series.get("data")
    if "external_file" in series:
        names = [_text(name) for name in series["external_file"][()]]
        raise RecordingError(
            f"{series.name} keeps its images elsewhere; name {', '.join(names)} instead"
        )
    if not isinstance(data, h5py.Dataset):
        raise RecordingError(f"{series.name} holds no data")
    start = series.get("starting_time")
    if start is None:
        return _Series(data, True, times_s=series.get("timestamps"))
    rate_hz = float(start.attrs.get("rate", math.nan))
    return _Series(
        data, True, rate_hz if rate_hz > 0 else None, start_s=float(start[()])
    )


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
