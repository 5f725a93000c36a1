"""TIFF files that some other program wrote: one image on each page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rtrecon.core.types import Array
from rtrecon.sources.pixels import as_pixels, pixel_type
from rtrecon.sources.recording import Hints, RecordedFrame, Recording, RecordingError
from rtrecon.sources.tiff import open_tiff


class PlainTiff(Recording):
    """A stack of images, in the order of its pages, at a rate that has to be given.

    What is one block to ImageJ (more than 4 GB behind one page) is read as such. Raises
    `RecordingError`.
    """

    n_frames: int

    def __init__(self, path: Path, hints: Hints) -> None:
        self.name = path.name
        self._path = path
        self.rate_hz = self._rate_hz(hints)
        self.channels = hints.chosen((1,))
        with ExitStack() as stack:
            self._tiff = stack.enter_context(open_tiff(path))
            self._block = self._one_block()
            first = self._image(0)
            if first.ndim != 2:
                raise RecordingError(
                    f"its pages are {list(first.shape)}; grey images (lines, pixels) "
                    "can be"
                )
            self.shape = (first.shape[0], first.shape[1])
            self.dtype = pixel_type(first.dtype, first)
            self.n_frames = self._block[0] if self._block else len(self._tiff.pages)
            stack.pop_all()

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the images in the order of the file."""
        for i in range(self.n_frames):
            image = self._image(i)
            name = f"{self._path}: frame {i + 1}"
            if image.shape != self.shape:
                raise RecordingError(
                    f"{name} is {list(image.shape)}, the first was {list(self.shape)}"
                )
            pixels = as_pixels(image, self.dtype, name)
            yield RecordedFrame(i + 1, i / self.rate_hz, pixels)

    def close(self) -> None:
        """Close the file."""
        self._tiff.close()

    def _rate_hz(self, hints: Hints) -> float:
        try:
            return hints.known_rate_hz(None)
        except RecordingError as error:
            raise RecordingError(f"ScanImage did not write it, and {error}") from None

    def _one_block(self) -> tuple[int, int] | None:
        """Return (images, offset) of pixels that lie behind a single page."""
        if len(self._tiff.pages) > 1:
            return None
        only = self._tiff.series[0]  # lists all pages, so it is left for a single one
        n_images = only.size // only.keyframe.size
        if n_images == 1 or only.dataoffset is None:
            return None
        return n_images, only.dataoffset

    def _image(self, i: int) -> Array:
        try:
            if self._block is None:
                return self._tiff.pages[i].asarray()
            page: Any = self._tiff.pages.first
            dtype = page.dtype.newbyteorder(self._tiff.byteorder)
            size = page.size * dtype.itemsize
            file = self._tiff.filehandle
            image: Array = file.read_array(dtype, page.size, self._block[1] + i * size)
            return image.reshape(page.shape)
        except Exception as error:  # decoders raise what they like
            raise RecordingError(
                f"{self._path}: frame {i + 1} cannot be read: {error}"
            ) from None
