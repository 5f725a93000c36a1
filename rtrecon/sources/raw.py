"""Reader for files of bare pixels, one image after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.core.types import Array
from rtrecon.sources.pixels import choose_pixel_type, convert_pixels
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)


@dataclass(frozen=True)
class RawLayout:
    """How the pixels of a file are arranged.

    shape: (lines, pixels). rate_hz: of volumes; None if unknown. channels: from 1, in
    the order of the file: image after image or, if is_interleaved, pixel after pixel.
    blank_channels: those of them that hold no image, because they were not enabled.
    planes: depths in um. n_flyback: images after the last plane of each volume, which
    show no plane. is_inverted: the brightest pixel is 0.
    """

    shape: tuple[int, int]
    rate_hz: float | None
    dtype: Any = "<i2"
    channels: tuple[int, ...] = (1,)
    planes: tuple[float, ...] = (0.0,)
    n_flyback: int = 0
    is_interleaved: bool = False
    is_inverted: bool = False
    blank_channels: tuple[int, ...] = ()

    @property
    def image_bytes(self) -> int:
        """Size in bytes of an image of all channels."""
        lines, pixels = self.shape
        return len(self.channels) * lines * pixels * np.dtype(self.dtype).itemsize

    @property
    def recorded_channels(self) -> tuple[int, ...]:
        """The channels that hold images."""
        return tuple(c for c in self.channels if c not in self.blank_channels)

    @property
    def images_per_volume(self) -> int:
        """Images in one volume, flyback included."""
        return len(self.planes) + self.n_flyback

    def extract_channel(self, image: bytes, channel: int) -> Array:
        """Return one channel of an image, (lines, pixels), in the file's dtype."""
        index, n_channels = self.channels.index(channel), len(self.channels)
        values = np.frombuffer(image, self.dtype)
        if self.is_interleaved:
            pixels = values.reshape(*self.shape, n_channels)[..., index]
        else:
            pixels = values.reshape(n_channels, *self.shape)[index]
        return np.iinfo(self.dtype).max - pixels if self.is_inverted else pixels


class RawMovie(Recording):
    """A file of bare pixels whose layout is known from elsewhere.

    Frames are numbered from 1; their times follow from the rate. Raises
    `RecordingError`.
    """

    def __init__(self, path: Path, layout: RawLayout, hints: RecordingHints) -> None:
        if min(layout.shape) < 1:
            raise RecordingError(
                f"its image size {layout.shape} is impossible; lines and pixels must "
                "be at least 1"
            )
        self.name = path.name
        self.shape = layout.shape
        self.channels = hints.select_channels(layout.recorded_channels)
        self.planes = layout.planes
        self.rate_hz = hints.resolve_rate_hz(layout.rate_hz)
        self._path = path
        self._layout = layout
        self._n_images, n_rest = divmod(path.stat().st_size, layout.image_bytes)
        if not self._n_images:
            raise RecordingError("it contains no complete frame")
        if n_rest:
            self.notice = (
                f"{path} is truncated, or its frames are not of size {layout.shape}: "
                f"after {self._n_images} complete frames {n_rest} bytes are left"
            )
        self.n_frames = len(self.channels) * self._count_plane_images(self._n_images)
        self._file = path.open("rb")
        first = layout.extract_channel(self._read_image(0), self.channels[0])
        self.dtype = choose_pixel_type(layout.dtype, first)

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames in order, without flyback."""
        for index in range(self._n_images):
            volume, plane = divmod(index, self._layout.images_per_volume)
            if plane >= len(self.planes):
                continue
            image = self._read_image(index)
            t_s = index / self._layout.images_per_volume / self.rate_hz
            name = f"{self._path}: frame {index + 1}"
            for channel in self.channels:
                stored = self._layout.extract_channel(image, channel)
                pixels = convert_pixels(stored, self.dtype, name)
                yield RecordedFrame(volume + 1, t_s, pixels, plane, channel)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _count_plane_images(self, n_images: int) -> int:
        n_volumes, n_rest = divmod(n_images, self._layout.images_per_volume)
        return n_volumes * len(self.planes) + min(n_rest, len(self.planes))

    def _read_image(self, index: int) -> bytes:
        # Not memory-mapped: mapped pages would count as memory of this process.
        size = self._layout.image_bytes
        if self._file.closed:
            raise RecordingError(f"{self._path} is closed")
        try:
            self._file.seek(index * size)
            image = self._file.read(size)
        except OSError as error:
            raise RecordingError(f"{self._path} cannot be read: {error}") from None
        if len(image) < size:
            raise RecordingError(
                f"{self._path}: frame {index + 1} is missing; the file has become "
                "shorter since it was opened"
            )
        return image
