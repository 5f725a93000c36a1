"""Follows a TIFF file while the microscope writes it, and the files after it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rtrecon.core.frame_intervals import extend_timeout
from rtrecon.core.types import Array
from rtrecon.sources.frame_renumbering import FrameRenumbering
from rtrecon.sources.growing_tiff_pages import GrowingTiffReader, TiffPage
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)
from rtrecon.sources.recording_series import require_same_layout
from rtrecon.sources.scanimage_header import ScanImageHeader
from rtrecon.sources.scanimage_pages import FrameAssembler
from rtrecon.sources.scanimage_tiff import read_tiff_header
from rtrecon.sources.series_names import list_next_paths
from rtrecon.sources.tiff_file import is_scanimage, open_tiff

POLL_S = 0.005  # between two looks at the file: a sixth of a frame at 30 Hz
SILENT_INTERVALS = 6.0  # after which a time-lapse is over


class GrowingTiff(Recording):
    """A TIFF file that is being written; its first page must be complete.

    `frames` yields the frames that are complete by now; the next call continues after
    the last one. ScanImage's files, or those of any program if the hints give a rate.
    Raises `RecordingError`.
    """

    def __init__(self, path: Path, hints: RecordingHints) -> None:
        self.path, self.name = path, path.name
        self._reader = GrowingTiffReader(path)
        self._peeked_page: TiffPage | None = None  # read, but not yet yielded
        self._pending_pages: list[TiffPage] = []  # of an image that is not complete
        self._n_images = 0
        try:
            first = self._reader.read_page()
            if first is None:
                raise RecordingError("it contains no complete frame yet")
            self._peeked_page = first
            self._set_attributes(_read_header(path, hints), first, hints)
        except RecordingError as error:
            self.close()
            raise RecordingError(f"{path} cannot be followed: {error}") from None

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames written since the last call; possibly none."""
        n_channels = len(self._assembler.header.channels)
        try:
            while (page := self._next_page()) is not None:
                self._pending_pages.append(page)
                if len(self._pending_pages) < n_channels:
                    continue
                pages = _ImagePages(self._pending_pages, self._n_images * n_channels)
                self._n_images, self._pending_pages = self._n_images + 1, []
                yield from self._assembler.read_frames(pages, self._n_images - 1)
        except RecordingError as error:
            raise RecordingError(f"{self.path}: {error}") from None

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def _next_page(self) -> TiffPage | None:
        page, self._peeked_page = self._peeked_page, None
        return page or self._reader.read_page()

    def _set_attributes(
        self, header: ScanImageHeader, first: TiffPage, hints: RecordingHints
    ) -> None:
        layout = first.pixels.shape, first.pixels.dtype
        assembler = FrameAssembler(header, layout, hints.channel, hints.field)
        assembler.find_first_image(_ImagePages([first], 0))
        self._assembler = assembler
        self.shape, self.dtype = assembler.shape, assembler.dtype
        self.channels, self.planes = assembler.channels, assembler.planes
        self.rate_hz, self.notice = header.rate_hz, assembler.notice
        self.um_per_px = assembler.um_per_px


class FollowedTiff(Recording):
    """A growing file, then the next part or acquisition that appears beside it.

    Ends if no frame arrives for `timeout_s`, or for six intervals of a time-lapse;
    waits `timeout_s` for the first frame. Raises `RecordingError`.
    """

    def __init__(self, path: Path, hints: RecordingHints, timeout_s: float) -> None:
        self._hints, self._timeout_s = hints, timeout_s
        self._current = self._open_first_file(path)
        first = self._current
        self.name, self.notice = first.name, first.notice
        self.shape, self.dtype, self.rate_hz = first.shape, first.dtype, first.rate_hz
        self.channels, self.planes = first.channels, first.planes
        self.um_per_px = first.um_per_px

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield frames as they are written, until the microscope stops writing."""
        renumbering = FrameRenumbering(self.rate_hz)
        while True:
            yield from renumbering.renumber(self._read_current_file())
            self.notice = "; ".join(
                filter(None, [self._current.notice, renumbering.notice])
            )
            next_file = self._open_next_file()
            if next_file is None:
                return
            self._current.close()
            self._current = next_file
            require_same_layout(next_file, self, next_file.path)

    def close(self) -> None:
        """Close the file that is being followed."""
        self._current.close()

    def _read_current_file(self) -> Iterator[RecordedFrame]:
        """Yield the frames of one file until the timeout, or until the next begins."""
        last_frame_s = time.monotonic()
        timeout_s = extend_timeout(self._timeout_s, self.rate_hz, SILENT_INTERVALS)
        while True:
            # Both are looked up before this file is read, so that its last frames are
            # not lost, even if the receiver takes longer than the timeout.
            is_silent = time.monotonic() - last_frame_s >= timeout_s
            is_finished = any(map(_has_whole_page, list_next_paths(self._current.path)))
            for frame in self._current.frames():
                yield frame
                is_silent, last_frame_s = False, time.monotonic()
            if is_finished or is_silent:
                return
            time.sleep(POLL_S)

    def _open_next_file(self) -> GrowingTiff | None:
        started = filter(_has_whole_page, list_next_paths(self._current.path))
        return next((GrowingTiff(path, self._hints) for path in started), None)

    def _open_first_file(self, path: Path) -> GrowingTiff:
        deadline_s = time.monotonic() + self._timeout_s
        while not _has_whole_page(path) and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
        if not path.is_file():
            raise RecordingError(
                f"recording {path} does not exist after {self._timeout_s:g} s; start "
                "the acquisition earlier, or wait longer with --timeout"
            )
        return GrowingTiff(path, self._hints)


class _ImagePages:
    """The pages of one image, addressed by their numbers in the file."""

    def __init__(self, pages: list[TiffPage], first_page: int) -> None:
        self._pages, self._first_page = pages, first_page

    def read_pixels(self, page: int) -> Array:
        return self._pages[page - self._first_page].pixels

    def read_description(self, page: int) -> str:
        return self._pages[page - self._first_page].description

    def close(self) -> None:
        self._pages = []


def _has_whole_page(path: Path) -> bool:
    """Return whether a file contains a complete page."""
    with suppress(OSError):  # it does not exist, or its writer has locked it
        reader = GrowingTiffReader(path)
        try:
            return reader.read_page() is not None
        except RecordingError:
            return True  # the error is reported when the file is opened
        finally:
            reader.close()
    return False


def _read_header(path: Path, hints: RecordingHints) -> ScanImageHeader:
    with open_tiff(path) as tiff:
        if is_scanimage(tiff):
            return read_tiff_header(tiff)
    return ScanImageHeader(
        channels=tuple(range(1, (hints.n_channels or 1) + 1)),
        rate_hz=hints.resolve_rate_hz(None),
        n_requested=None,
        has_stamps=False,
        planes=tuple(map(float, range(hints.n_planes or 1))),
    )
