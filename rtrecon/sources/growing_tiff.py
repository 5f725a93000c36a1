"""A TIFF file followed while ScanImage writes it, and those that come after it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rtrecon.core.types import Array
from rtrecon.sources.growing_tiff_pages import Chain, Page
from rtrecon.sources.recording import Hints, RecordedFrame, Recording, RecordingError
from rtrecon.sources.scanimage import Header
from rtrecon.sources.scanimage_pages import Images
from rtrecon.sources.series import Onward, followers, require_alike
from rtrecon.sources.tiff import is_scanimage, open_tiff, tiff_header

POLL_S = 0.005  # between looks at the file: a sixth of a frame at 30 Hz


class GrowingTiff(Recording):
    """A file that somebody is writing; its first page is there.

    Frames are those that are whole by now, and each call of `frames` goes on after the
    last one. Pages may come from ScanImage or, with a rate given, from anybody. Raises
    `RecordingError`.
    """

    def __init__(self, path: Path, hints: Hints) -> None:
        self.path, self.name = path, path.name
        self._chain = Chain(path)
        self._ahead: Page | None = None  # looked at, but not passed on
        self._read: list[Page] = []  # of the image that is not whole yet
        self._n_images = 0
        try:
            first = self._chain.next()
            if first is None:
                raise RecordingError("there is no whole frame in it yet")
            self._ahead = first
            self._tell(_header_of(path, hints), first, hints)
        except RecordingError as error:
            self.close()
            raise RecordingError(f"{path} cannot be followed: {error}") from None

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames that have come since the last call, which may be none."""
        n_channels = len(self._images.header.channels)
        try:
            while (page := self._next()) is not None:
                self._read.append(page)
                if len(self._read) < n_channels:
                    continue
                pages = _Read(self._read, self._n_images * n_channels)
                self._n_images, self._read = self._n_images + 1, []
                yield from self._images.frames(pages, self._n_images - 1)
        except RecordingError as error:
            raise RecordingError(f"{self.path}: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._chain.close()

    def _next(self) -> Page | None:
        page, self._ahead = self._ahead, None
        return page or self._chain.next()

    def _tell(self, header: Header, first: Page, hints: Hints) -> None:
        pixels = first.pixels
        layout = pixels.shape, pixels.dtype
        self._images = Images(header, layout, hints.channel, hints.field)
        self._images.begin(_Read([first], 0))
        self.shape, self.dtype = self._images.shape, self._images.dtype
        self.channels, self.planes = self._images.channels, self._images.planes
        self.rate_hz, self.notice = header.rate_hz, self._images.notice


class FollowedTiff(Recording):
    """A growing file, then the next part or acquisition that appears beside it.

    Ends when no frame has come for `silence_s`; so long it also waits for the first
    one. Raises `RecordingError`.
    """

    def __init__(self, path: Path, hints: Hints, silence_s: float) -> None:
        self._hints, self._silence_s = hints, silence_s
        self._current = self._first(path)
        first = self._current
        self.name, self.notice = first.name, first.notice
        self.shape, self.dtype, self.rate_hz = first.shape, first.dtype, first.rate_hz
        self.channels, self.planes = first.channels, first.planes

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield frames as they are written, until nobody writes any more."""
        onward = Onward(self.rate_hz)
        while True:
            yield from onward.file(self._while_growing())
            following = self._following()
            if following is None:
                return
            self._current.close()
            self._current = following
            require_alike(following, self, following.path)

    def close(self) -> None:
        """Close the file that is being followed."""
        self._current.close()

    def _while_growing(self) -> Iterator[RecordedFrame]:
        """Yield the frames of one file until it is silent or the next has begun."""
        heard_s = time.monotonic()
        while time.monotonic() - heard_s < self._silence_s:
            # Asked before the look at this file, so that its last frames are not lost.
            is_over = any(map(_has_begun, followers(self._current.path)))
            for frame in self._current.frames():
                heard_s = time.monotonic()
                yield frame
            if is_over:
                return
            time.sleep(POLL_S)

    def _following(self) -> GrowingTiff | None:
        begun = filter(_has_begun, followers(self._current.path))
        return next((GrowingTiff(path, self._hints) for path in begun), None)

    def _first(self, path: Path) -> GrowingTiff:
        deadline_s = time.monotonic() + self._silence_s
        while not _has_begun(path) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        if not path.is_file():
            raise RecordingError(f"recording {path} does not exist; nobody began it")
        return GrowingTiff(path, self._hints)


class _Read:
    """The pages of one image, by their numbers in the file."""

    def __init__(self, pages: list[Page], first: int) -> None:
        self._pages, self._first = pages, first

    def pixels(self, page: int) -> Array:
        return self._pages[page - self._first].pixels

    def description(self, page: int) -> str:
        return self._pages[page - self._first].description

    def close(self) -> None:
        self._pages = []


def _has_begun(path: Path) -> bool:
    """Tell whether a file holds a whole page."""
    with suppress(OSError):  # it is not there, or its writer has it for itself
        chain = Chain(path)
        try:
            return chain.next() is not None
        except RecordingError:
            return True  # that it cannot be read is said when it is opened
        finally:
            chain.close()
    return False


def _header_of(path: Path, hints: Hints) -> Header:
    with open_tiff(path) as tiff:
        if is_scanimage(tiff):
            return tiff_header(tiff)
    return Header((1,), hints.known_rate_hz(None), announced=None, numbered=False)
