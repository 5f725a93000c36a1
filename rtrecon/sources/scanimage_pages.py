"""Assembles frames from the pages of a ScanImage file: channel, plane and field."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.messages import PIXEL_DTYPES
from rtrecon.sources.recording import RecordedFrame, RecordingError, RecordingHints
from rtrecon.sources.scan_fields import locate_field, select_field
from rtrecon.sources.scanimage_header import (
    ScanImageHeader,
    parse_acquisition_index,
    parse_frame_stamp,
)

# The median interval of these first frames gives the rate: one pause does not matter.
N_RATE_FRAMES = 33


class MismatchedFrameError(RecordingError):
    """A frame differs from the first one; the text does not name the file."""


class PageReader(Protocol):
    """Reads the pages of a file, counted from 0: an image and a text each."""

    def read_pixels(self, page: int) -> Array:
        """Return a page's image, (lines, pixels)."""

    def read_description(self, page: int) -> str:
        """Return a page's text."""

    def close(self) -> None:
        """Close the file."""


class PlaneAverage:
    """The mean of the images of one plane that follow each other in a volume."""

    def __init__(self) -> None:
        self._sum: Array | None = None
        self._n_images = 0

    def add(self, image: Array, is_first: bool) -> Array:
        """Return the rounded mean of the images since the first, in their dtype."""
        if is_first or self._sum is None:
            self._sum, self._n_images = np.zeros(image.shape, np.int64), 0
        self._sum += image
        self._n_images += 1
        mean = np.rint(self._sum / self._n_images)
        return np.asarray(mean, image.dtype)


class FrameAssembler:
    """Finds the pages of each frame: first channels change, then planes, then volumes.

    An image is what was scanned at once: one page per channel. Images count from 0.
    The flyback images after the last plane of a volume are skipped. If a volume has
    several images of each plane, they are averaged to one frame, which has the number
    and time of the last of them. um_per_px: of the field that is read. Raises
    `RecordingError` for a channel or field that is not in the file, and for pixel types
    that ScanImage does not save.
    """

    def __init__(
        self,
        header: ScanImageHeader,
        first_page: tuple[tuple[int, ...], Any],
        channel: int | None,
        field: str | None,
    ) -> None:
        self.header = header
        self.planes = header.planes
        self.channels = RecordingHints(channel).select_channels(header.channels)
        self._page_shape, self.dtype = _check_layout(*first_page)
        self.shape, self.notice = self._page_shape, ""
        self.um_per_px = header.um_per_px
        self._first_index = 0  # of the first image, within its acquisition
        self._repeats = {channel: PlaneAverage() for channel in self.channels}
        self._field_name: str | None = None
        self._field_slices = (slice(None), slice(None))
        if header.fields or field is not None:
            self._select_field(field)
        if header.n_repeats > 1:
            average = (
                f"each volume has {header.n_repeats} images of each plane; their mean "
                "is one frame"
            )
            self.notice = "; ".join(filter(None, [self.notice, average]))

    def find_first_image(self, pages: PageReader) -> None:
        """Read from the first page where in a volume the file begins."""
        if self.header.has_stamps:
            self._first_index = parse_acquisition_index(pages.read_description(0))

    def count_frames(self, n_images: int) -> int:
        """Return how many frames the first `n_images` images contain."""
        indices = range(self._first_index, self._first_index + n_images)
        n_shown = sum(self._completes_plane(index) for index in indices)
        return len(self.channels) * n_shown

    def read_frames(self, pages: PageReader, image: int) -> Iterator[RecordedFrame]:
        """Yield the frames that end with an image: one per channel, or none."""
        index = self._first_index + image
        position = index % self.header.images_per_volume
        plane, repeat = divmod(position, self.header.n_repeats)
        if plane >= len(self.planes):
            return
        number, t_s = self._read_stamp(pages, image)
        is_last = self._completes_plane(index)
        for channel in self.channels:
            page = pages.read_pixels(self._page_index(image, channel))
            if page.shape != self._page_shape or page.dtype != self.dtype:
                raise MismatchedFrameError(
                    f"frame {number} is {page.dtype} {list(page.shape)}, the first was "
                    f"{self.dtype} {list(self._page_shape)}"
                )
            pixels = np.ascontiguousarray(page[self._field_slices])
            if self.header.n_repeats > 1:
                pixels = self._repeats[channel].add(pixels, is_first=repeat == 0)
            if is_last:
                yield RecordedFrame(
                    number, t_s, pixels, plane, channel, self._field_name
                )

    def _completes_plane(self, index: int) -> bool:
        """Return whether an image is the last one of its plane in its volume."""
        plane, repeat = divmod(
            index % self.header.images_per_volume, self.header.n_repeats
        )
        return plane < len(self.planes) and repeat == self.header.n_repeats - 1

    def measure_rate_hz(self, pages: PageReader, n_images: int) -> float:
        """Return the rate of frames, or of volumes, from the recorded times."""
        images = range(0, n_images, self.header.images_per_volume)[:N_RATE_FRAMES]
        times = [self._read_stamp(pages, image)[1] for image in images]
        intervals = [later - t for t, later in itertools.pairwise(times)]
        period_s = statistics.median(intervals) if intervals else 0.0
        return 1.0 / period_s if period_s > 0 else self.header.rate_hz

    def _select_field(self, name: str | None) -> None:
        fields = self.header.fields
        field = select_field(fields, name)
        self._field_slices = locate_field(fields, field, self._page_shape)
        self._field_name, self.shape = field.name, field.shape
        self.um_per_px = field.um_per_px
        if name is None:
            others = ", ".join(other.name for other in fields[1:])
            self.notice = (
                f"the recording has {len(fields)} scan fields; {field.name} is read. "
                f"Choose another with --field: {others}"
            )

    def _page_index(self, image: int, channel: int) -> int:
        saved_channels = self.header.channels
        return image * len(saved_channels) + saved_channels.index(channel)

    def _read_stamp(self, pages: PageReader, image: int) -> tuple[int, float]:
        if not self.header.has_stamps:
            volume = image // self.header.images_per_volume
            t_s = image / self.header.images_per_volume / self.header.rate_hz
            return volume + 1, t_s
        page = self._page_index(image, self.channels[0])
        number, t_s = parse_frame_stamp(pages.read_description(page))
        return (number - 1) // self.header.images_per_volume + 1, t_s


def _check_layout(shape: tuple[int, ...], dtype: Any) -> tuple[tuple[int, int], Any]:
    if len(shape) != 2 or dtype is None or dtype.name not in PIXEL_DTYPES:
        raise RecordingError(
            f"its pixels are {dtype} {list(shape)}; {' or '.join(PIXEL_DTYPES)} "
            "(lines, pixels) can be read"
        )
    return (shape[0], shape[1]), dtype.newbyteorder("=")
