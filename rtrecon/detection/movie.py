"""A recording of any length, frame by frame: ScanImage TIFF, or any other TIFF."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.protocol.messages import PIXEL_TYPES
from rtrecon.sources.scanimage import RecordingError
from rtrecon.sources.tiff import ScanImageTiff

_KNOWN_TYPES = (*PIXEL_TYPES, "uint8")


@dataclass(frozen=True)
class Movie:
    """What neurons can be found in.

    shape: (lines, pixels). frames: yields them, int16 or uint16, from the first on at
    each call. rate_hz, um_per_px: None where the file does not say. notice: a sentence
    if something is amiss with the file, else empty.
    """

    shape: tuple[int, int]
    n_frames: int
    frames: Callable[[], Iterator[Array]]
    rate_hz: float | None = None
    um_per_px: float | None = None
    notice: str = ""


@contextmanager
def open_movie(
    path: Path, channel: int | None = None, plane: int = 0
) -> Iterator[Movie]:
    """Open a recording; raises UserError where it cannot be one.

    channel: 1-based, of a ScanImage file; the first that was saved if None. plane: of a
    ScanImage volume, from 0.
    """
    with _opened(path) as tiff:
        if not tiff.is_scanimage:
            yield _plain(path, tiff, channel)
            return
        um_per_px = _um_per_px(tiff)
    with ScanImageTiff(path, channel) as recording:
        channels, planes = recording.channels, recording.planes
        if not 0 <= plane < len(planes):
            raise UserError(
                f"plane {plane} is not in {path}; its {len(planes)} plane(s) count "
                "from 0"
            )
        chosen = channels[0], plane
        yield Movie(
            shape=recording.shape,
            n_frames=ceil(len(recording) / (len(channels) * len(planes))),
            frames=lambda: (
                frame.pixels
                for frame in recording.frames()
                if (frame.channel, frame.plane) == chosen
            ),
            rate_hz=recording.rate_hz,
            um_per_px=um_per_px,
            notice=recording.notice,
        )


def _opened(path: Path) -> tifffile.TiffFile:
    if not path.is_file():
        raise RecordingError(f"recording {path} does not exist")
    try:
        return tifffile.TiffFile(path)
    except Exception as error:  # damaged files break it in many ways
        raise RecordingError(f"{path} is not a readable TIFF file: {error}") from None


def _plain(path: Path, tiff: tifffile.TiffFile, channel: int | None) -> Movie:
    if channel is not None:
        raise UserError(
            f"{path} does not say which channel is which (ScanImage did not write it); "
            "leave the channel out, or save the one you want by itself"
        )
    series = tiff.series[0]
    dtype = series.dtype.newbyteorder("=")
    if len(series.shape) != 3 or dtype.name not in _KNOWN_TYPES:
        raise UserError(
            f"{path} holds {dtype} {list(series.shape)}; a movie of "
            f"{', '.join(_KNOWN_TYPES)} (frames, lines, pixels) is needed"
        )
    n_frames, lines, pixels = series.shape
    taken = np.dtype(np.uint16) if dtype == np.uint8 else dtype
    return Movie(
        shape=(lines, pixels),
        n_frames=n_frames,
        frames=lambda: (np.asarray(page, taken) for page in _pages(path, tiff)),
    )


def _pages(path: Path, tiff: tifffile.TiffFile) -> Iterator[Array]:
    series: Any = tiff.series[0]
    for index in range(series.shape[0]):
        try:
            if series.dataoffset is None:
                yield series.pages[index].asarray()
            else:  # one block, whose pages need not be listed
                yield _part_of_block(tiff, series, index)
        except Exception as error:  # decoders raise what they like
            raise RecordingError(
                f"{path}: frame {index + 1} cannot be read: {error}"
            ) from None


def _part_of_block(tiff: tifffile.TiffFile, series: Any, index: int) -> Array:
    dtype = series.dtype.newbyteorder(tiff.byteorder)
    lines, pixels = series.shape[1:]
    offset = series.dataoffset + index * lines * pixels * dtype.itemsize
    block: Any = tiff.filehandle.read_array(dtype, lines * pixels, offset)
    return np.asarray(block.reshape(lines, pixels))


def _um_per_px(tiff: tifffile.TiffFile) -> float | None:
    """Return the geometric mean of both directions, if ScanImage knew its objective."""
    settings: Any = (tiff.scanimage_metadata or {}).get("FrameData") or {}
    try:
        corners = np.array(settings["SI.hRoiManager.imagingFovUm"], float)
        width_um, height_um = np.ptp(corners.reshape(4, 2), axis=0)
        lines = float(settings["SI.hRoiManager.linesPerFrame"])
        pixels = float(settings["SI.hRoiManager.pixelsPerLine"])
        scale = sqrt(width_um / pixels * height_um / lines)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return scale if scale > 0 else None
