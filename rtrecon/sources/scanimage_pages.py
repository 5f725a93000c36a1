"""Which page of a ScanImage file is which channel, plane and field of which frame."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from rtrecon.core.types import Array
from rtrecon.protocol.messages import PIXEL_TYPES
from rtrecon.sources.recording import Hints, RecordedFrame, RecordingError
from rtrecon.sources.scan_fields import box_of, choose
from rtrecon.sources.scanimage import Header, frame_stamp, place_in_acquisition

RATE_FRAMES = 33  # frames whose intervals give the rate; a pause in one is outvoted


class FrameError(RecordingError):
    """A frame that is not like the first one; its text lacks the name of the file."""


class Pages(Protocol):
    """The pages of a file, counted from 0; (lines, pixels) each, with a text."""

    def pixels(self, page: int) -> Array:
        """Return a page's image."""

    def description(self, page: int) -> str:
        """Return a page's text."""

    def close(self) -> None:
        """Let go of the file."""


class Images:
    """Sorts pages: channels change from page to page, then planes, then volumes.

    An image is what was scanned at once, a page for each channel; they count from 0.
    After the last plane of a volume come images of the flyback, which are no frames.
    Raises `RecordingError` for a channel or field that is not there and for pixels that
    ScanImage does not save.
    """

    def __init__(
        self,
        header: Header,
        first_page: tuple[tuple[int, ...], Any],
        channel: int | None,
        field: str | None,
    ) -> None:
        self.header = header
        self.planes = header.planes
        self.channels = Hints(channel).chosen(header.channels)
        self._page_shape, self.dtype = _layout(*first_page)
        self.shape, self.notice = self._page_shape, ""
        self._first = 0  # place in its acquisition of the first image
        self._roi: str | None = None
        self._box = (slice(None), slice(None))
        if header.fields or field is not None:
            self._take_field(field)

    def begin(self, pages: Pages) -> None:
        """Look at the first page for where in a volume the file begins."""
        if self.header.numbered:
            self._first = place_in_acquisition(pages.description(0))

    def count(self, n_images: int) -> int:
        """Return how many frames so many images hold."""
        places = range(self._first, self._first + n_images)
        flyback = [p % self.header.volume >= len(self.planes) for p in places]
        return len(self.channels) * (n_images - sum(flyback))

    def frames(self, pages: Pages, i: int) -> Iterator[RecordedFrame]:
        """Yield the frames of an image: one for each channel, none of the flyback."""
        plane = (self._first + i) % self.header.volume
        if plane >= len(self.planes):
            return
        number, t_s = self._stamp(pages, i)
        for channel in self.channels:
            page = pages.pixels(self._page(i, channel))
            if page.shape != self._page_shape or page.dtype != self.dtype:
                raise FrameError(
                    f"frame {number} is {page.dtype} {list(page.shape)}, the first was "
                    f"{self.dtype} {list(self._page_shape)}"
                )
            pixels = np.ascontiguousarray(page[self._box])
            yield RecordedFrame(number, t_s, pixels, plane, channel, self._roi)

    def rate_hz(self, pages: Pages, n_images: int) -> float:
        """Return the rate of frames, or volumes, of the recorded times."""
        images = range(0, n_images, self.header.volume)[:RATE_FRAMES]
        times = [self._stamp(pages, i)[1] for i in images]
        steps = [later - t for t, later in itertools.pairwise(times)]
        period_s = statistics.median(steps) if steps else 0.0
        return 1.0 / period_s if period_s > 0 else self.header.rate_hz

    def _take_field(self, name: str | None) -> None:
        fields = self.header.fields
        field = choose(fields, name)
        self._box = box_of(fields, field, self._page_shape)
        self._roi, self.shape = field.name, field.shape
        if name is None:
            others = ", ".join(other.name for other in fields[1:])
            self.notice = (
                f"of {len(fields)} scan fields {field.name} is read; --field chooses "
                f"another: {others}"
            )

    def _page(self, i: int, channel: int) -> int:
        saved = self.header.channels
        return i * len(saved) + saved.index(channel)

    def _stamp(self, pages: Pages, i: int) -> tuple[int, float]:
        if not self.header.numbered:
            return i + 1, i / self.header.rate_hz
        page = self._page(i, self.channels[0])
        number, t_s = frame_stamp(pages.description(page))
        return (number - 1) // self.header.volume + 1, t_s


def _layout(shape: tuple[int, ...], dtype: Any) -> tuple[tuple[int, int], Any]:
    if len(shape) != 2 or dtype is None or dtype.name not in PIXEL_TYPES:
        raise RecordingError(
            f"its pixels are {dtype} {list(shape)}; {' or '.join(PIXEL_TYPES)} (lines, "
            "pixels) can be"
        )
    return (shape[0], shape[1]), dtype.newbyteorder("=")
