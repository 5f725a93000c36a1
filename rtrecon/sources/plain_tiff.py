"""Reader for TIFF files of other programs than ScanImage: one image per page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rtrecon.core.types import Array
from rtrecon.sources.pixels import choose_pixel_type, convert_pixels
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)
from rtrecon.sources.tiff_file import open_tiff


class PlainTiff(Recording):
    """A stack of images in the order of its pages; the hints must give the rate.

    ImageJ writes more than 4 GB as one block of images behind a single page; such a
    block is read too. Raises `RecordingError`.
    """

    n_frames: int

    def __init__(self, path: Path, hints: RecordingHints) -> None:
        self.name = path.name
        self._path = path
        self.rate_hz = self._resolve_rate_hz(hints)
        self.channels = hints.select_channels((1,))
        with ExitStack() as stack:
            self._tiff = stack.enter_context(open_tiff(path))
            self._block = self._find_single_block()
            first = self._read_image(0)
            if first.ndim != 2:
                raise RecordingError(
                    f"its pages are {list(first.shape)}; grey images (lines, pixels) "
                    "can be read"
                )
            self.shape = (first.shape[0], first.shape[1])
            self.dtype = choose_pixel_type(first.dtype, first)
            self.n_frames = self._block[0] if self._block else len(self._tiff.pages)
            stack.pop_all()

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the images in the order of the file."""
        for index in range(self.n_frames):
            image = self._read_image(index)
            name = f"{self._path}: frame {index + 1}"
            if image.shape != self.shape:
                raise RecordingError(
                    f"{name} is {list(image.shape)}, the first was {list(self.shape)}"
                )
            pixels = convert_pixels(image, self.dtype, name)
            yield RecordedFrame(index + 1, index / self.rate_hz, pixels)

    def close(self) -> None:
        """Close the file."""
        self._tiff.close()

    def _resolve_rate_hz(self, hints: RecordingHints) -> float:
        try:
            return hints.resolve_rate_hz(None)
        except RecordingError as error:
            raise RecordingError(f"ScanImage did not write it, and {error}") from None

    def _find_single_block(self) -> tuple[int, int] | None:
        """Return (number of images, offset) of a block behind a single page, if any."""
        if len(self._tiff.pages) > 1:
            return None
        series = self._tiff.series[0]  # tifffile lists all pages for this: slow if many
        n_images = series.size // series.keyframe.size
        if n_images == 1 or series.dataoffset is None:
            return None
        return n_images, series.dataoffset

    def _read_image(self, index: int) -> Array:
        try:
            if self._block is None:
                return self._tiff.pages[index].asarray()
            page: Any = self._tiff.pages.first
            dtype = page.dtype.newbyteorder(self._tiff.byteorder)
            offset = self._block[1] + index * page.size * dtype.itemsize
            image: Array = self._tiff.filehandle.read_array(dtype, page.size, offset)
            return image.reshape(page.shape)
        except Exception as error:  # decoders raise exceptions of many types
            raise RecordingError(
                f"{self._path}: frame {index + 1} cannot be read: {error}"
            ) from None
