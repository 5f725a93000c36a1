"""Reader for TIFF files of other programs than ScanImage: `TiffStack`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.core.types import Array
from rtrecon.sources.acquisition_times import describe_pauses, find_interval
from rtrecon.sources.gray import describe_gray, has_colors, is_color, make_gray
from rtrecon.sources.image_coordinates import read_coordinates
from rtrecon.sources.image_table import ImageTable, build_image_table
from rtrecon.sources.pixels import choose_pixel_type, convert_pixels
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)
from rtrecon.sources.tiff_file import explain_decoding_error, open_tiff

_MAX_OPEN_FILES = 16  # a volume of several planes and channels may need one for each


def open_plain_tiff(path: Path, hints: RecordingHints) -> Recording:
    """Open a file that describes its images, or whose images the hints describe.

    Without both, its images are times of one channel and plane, and the notice says so.
    Raises `RecordingError`.
    """
    with TiffImages(path) as images:
        coordinates = read_coordinates(images.tiff, images.n_images, hints)
    table = build_image_table([(path, coordinates)])
    if table is None:
        raise RecordingError("it describes several images of one time, plane, channel")
    return TiffStack(table, hints)


class TiffStack(Recording):
    """Images of one or several TIFF files, in the order of their times.

    Frames are numbered from 1 by their times. The hints give the rate if the table has
    none. Raises `RecordingError`.
    """

    n_frames: int

    def __init__(self, table: ImageTable, hints: RecordingHints) -> None:
        self._table = table
        self._open_files: dict[int, TiffImages] = {}  # oldest first
        n_more = len(table.files) - 1
        self.name = table.files[0].name + (f" and {n_more} more" if n_more else "")
        self._times_s = None if hints.rate_hz else table.times_s
        self.rate_hz = self._resolve_rate_hz(hints)
        self.channels = hints.select_channels(table.channels)
        self.planes = table.planes
        self.um_per_px = table.um_per_px
        self._is_closed = False
        self.n_frames = table.count_frames(self.channels)
        if not self.n_frames:
            raise RecordingError("it contains no complete frame")
        try:
            first = self._read_first_image()
        except RecordingError:
            self.close()
            raise
        self.shape = (first.shape[0], first.shape[1])
        self._is_summed: bool | None = None  # colors; None = gray
        gray_notice = ""
        if is_color(first):
            self._is_summed = has_colors(first)
            gray_notice = describe_gray(first.dtype, is_summed=self._is_summed)
            self.dtype = np.dtype(np.uint16)
        else:
            self.dtype = choose_pixel_type(first.dtype, first)
        notices = table.notice, gray_notice, self._describe_pauses()
        self.notice = "; ".join(filter(None, notices))

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the images: all channels of a plane, all planes of a time."""
        for time, plane, channel, file, image in self._list_images():
            pixels = self._read_image(file, image)
            name = f"{self._table.files[file]}: frame {image + 1}"
            if self._is_summed is not None and is_color(pixels):
                pixels = make_gray(pixels, is_summed=self._is_summed)
            if pixels.shape != self.shape:
                raise RecordingError(
                    f"{name} is {list(pixels.shape)}, the first was "
                    f"{list(self.shape)}; was the binning or the field changed? "
                    "Replay what follows as another recording"
                )
            converted = convert_pixels(pixels, self.dtype, name)
            t_s = self._find_time(time)
            yield RecordedFrame(time + 1, t_s, converted, plane, channel)

    def close(self) -> None:
        """Close the files; frames cannot be read afterwards."""
        self._is_closed = True
        while self._open_files:
            self._open_files.popitem()[1].close()

    def _list_images(self) -> Iterator[tuple[int, int, int, int, int]]:
        """Yield (time, plane, channel, file, image) of each image that exists."""
        columns = [(c, self._table.channels.index(c)) for c in self.channels]
        for time, volume in enumerate(self._table.locations):
            for plane in range(len(self.planes)):
                for channel, column in columns:
                    file, image = volume[plane, column].tolist()
                    if file >= 0:
                        yield time, plane, channel, file, image

    def _read_first_image(self) -> Array:
        *_, file, image = next(self._list_images())
        first = self._read_image(file, image)
        if first.ndim != 2 and not (is_color(first) and first.dtype.kind == "u"):
            raise RecordingError(
                f"its pages are {list(first.shape)} of {first.dtype}; gray images "
                "(lines, pixels) and images of three colors can be read"
            )
        return first

    def _read_image(self, file: int, image: int) -> Array:
        if self._is_closed:
            raise RecordingError(f"{self.name} is closed")
        images = self._open_files.pop(file, None)
        if images is None:
            if len(self._open_files) >= _MAX_OPEN_FILES:
                self._open_files.pop(next(iter(self._open_files))).close()
            images = TiffImages(self._table.files[file])
        self._open_files[file] = images
        return images.read_image(image)

    def _find_time(self, time: int) -> float:
        """Return when a time was acquired, in s since the first."""
        if self._times_s is None:
            return time / self.rate_hz
        return float(self._times_s[time] - self._times_s[0])

    def _describe_pauses(self) -> str:
        if self._times_s is None:
            return ""
        return describe_pauses(self._times_s, 1 / self.rate_hz)

    def _resolve_rate_hz(self, hints: RecordingHints) -> float:
        stored_hz = self._table.rate_hz
        if self._times_s is not None:
            interval_s = find_interval(self._times_s)
            stored_hz = 1 / interval_s if interval_s else stored_hz
        try:
            return hints.resolve_rate_hz(stored_hz)
        except RecordingError as error:
            raise RecordingError(f"ScanImage did not write it, and {error}") from None


class TiffImages:
    """The images of one TIFF file, by their index from 0; a context manager.

    ImageJ writes more than 4 GB as one block of images behind a single page; such a
    block is read too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.tiff = open_tiff(path)
        try:
            self._block = self._find_single_block()
            self.n_images = self._block[0] if self._block else len(self.tiff.pages)
        except Exception as error:  # damaged files break tifffile in many ways
            self.close()
            raise RecordingError(
                f"{path} is not a readable TIFF file: {error}"
            ) from None

    def __enter__(self) -> TiffImages:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.tiff.close()

    def read_image(self, index: int) -> Array:
        """Return an image, (lines, pixels); raises `RecordingError`."""
        try:
            if self._block is None:
                return self.tiff.pages[index].asarray()
            page: Any = self.tiff.pages.first
            dtype = page.dtype.newbyteorder(self.tiff.byteorder)
            offset = self._block[1] + index * page.size * dtype.itemsize
            image: Array = self.tiff.filehandle.read_array(dtype, page.size, offset)
            return image.reshape(page.shape)
        except Exception as error:  # decoders raise exceptions of many types
            raise RecordingError(
                f"{self._path}: frame {index + 1} cannot be read: "
                f"{explain_decoding_error(error)}"
            ) from None

    def _find_single_block(self) -> tuple[int, int] | None:
        """Return (number of images, offset) of a block behind a single page, if any."""
        # Of OME-XML, tifffile would open all files of the series.
        if self.tiff.is_ome or len(self.tiff.pages) > 1:
            return None
        series = self.tiff.series[0]  # tifffile lists all pages for this: slow if many
        n_images = series.size // series.keyframe.size
        if n_images == 1 or series.dataoffset is None:
            return None
        return n_images, series.dataoffset
