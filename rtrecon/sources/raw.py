"""Files that hold nothing but pixels, one image after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.core.types import Array
from rtrecon.sources.pixels import as_pixels, pixel_type
from rtrecon.sources.recording import Hints, RecordedFrame, Recording, RecordingError


@dataclass(frozen=True)
class RawLayout:
    """How pixels lie in a file.

    shape: (lines, pixels). channels: 1-based, in their order in the file: image after
    image or, where `interleaved`, pixel after pixel. planes: depths in um. flyback:
    images of each volume, after the last plane, that are of none. rate_hz: of volumes;
    None where nothing says it. inverted: the brightest pixel is 0.
    """

    shape: tuple[int, int]
    rate_hz: float | None
    dtype: Any = "<i2"
    channels: tuple[int, ...] = (1,)
    planes: tuple[float, ...] = (0.0,)
    flyback: int = 0
    interleaved: bool = False
    inverted: bool = False

    @property
    def image_bytes(self) -> int:
        """Size of an image of all channels."""
        lines, pixels = self.shape
        return len(self.channels) * lines * pixels * np.dtype(self.dtype).itemsize

    @property
    def volume(self) -> int:
        """How many images make a volume, flyback included."""
        return len(self.planes) + self.flyback

    def image(self, block: bytes, channel: int) -> Array:
        """Return one channel of an image, (lines, pixels), as the file has it."""
        place, count = self.channels.index(channel), len(self.channels)
        pixels = np.frombuffer(block, self.dtype)
        if self.interleaved:
            own = pixels.reshape(*self.shape, count)[..., place]
        else:
            own = pixels.reshape(count, *self.shape)[place]
        return np.iinfo(self.dtype).max - own if self.inverted else own


class RawMovie(Recording):
    """A file of pixels, of which something else told the layout.

    Frames are numbered from 1 and follow each other at the rate. Raises
    `RecordingError` with a sentence.
    """

    def __init__(self, path: Path, layout: RawLayout, hints: Hints) -> None:
        if min(layout.shape) < 1:
            raise RecordingError(f"its images are {layout.shape}; that is no size")
        self.name = path.name
        self.shape = layout.shape
        self.channels = hints.chosen(layout.channels)
        self.planes = layout.planes
        self.rate_hz = hints.known_rate_hz(layout.rate_hz)
        self._path = path
        self._layout = layout
        self._n_images, rest = divmod(path.stat().st_size, layout.image_bytes)
        if not self._n_images:
            raise RecordingError("there is no whole frame in it")
        if rest:
            self.notice = (
                f"{path} is cut short, or its size is another than {layout.shape}: "
                f"after {self._n_images} whole frames {rest} bytes are left"
            )
        self.n_frames = len(self.channels) * self._n_planes_in(self._n_images)
        self._file = path.open("rb")
        first = layout.image(self._block(0), self.channels[0])
        self.dtype = pixel_type(layout.dtype, first)

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames in order, without flyback."""
        for i in range(self._n_images):
            volume, plane = divmod(i, self._layout.volume)
            if plane >= len(self.planes):
                continue
            block = self._block(i)
            t_s = i / self._layout.volume / self.rate_hz
            for channel in self.channels:
                image = self._layout.image(block, channel)
                pixels = as_pixels(image, self.dtype, f"{self._path}: frame {i + 1}")
                yield RecordedFrame(volume + 1, t_s, pixels, plane, channel)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _n_planes_in(self, n_images: int) -> int:
        whole, rest = divmod(n_images, self._layout.volume)
        return whole * len(self.planes) + min(rest, len(self.planes))

    def _block(self, i: int) -> bytes:
        # Read, not mapped: what is mapped of a file larger than memory counts as ours.
        size = self._layout.image_bytes
        if self._file.closed:
            raise RecordingError(f"{self._path} is closed")
        try:
            self._file.seek(i * size)
            block = self._file.read(size)
        except OSError as error:
            raise RecordingError(f"{self._path} cannot be read: {error}") from None
        if len(block) < size:
            raise RecordingError(f"{self._path}: frame {i + 1} is gone; was it cut?")
        return block
