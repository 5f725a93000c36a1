"""Recorded sessions: ScanImage TIFF files, read frame by frame."""

from __future__ import annotations

import itertools
import logging
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import tifffile

from rtrecon.sources.scanimage import (
    Header,
    RecordingError,
    frame_stamp,
    read_header,
    read_old_header,
)
from rtrecon.wire import PIXEL_TYPES, Array

RATE_FRAMES = 33  # frames whose intervals give the rate; a pause in one is outvoted


@dataclass(frozen=True)
class RecordedFrame:
    """One image: number and time in s as recorded, pixels (lines, pixels).

    Of several planes, the number is that of the volume. plane counts from 0, channel
    from 1, as on the wire.
    """

    number: int
    t_s: float
    pixels: Array
    plane: int = 0
    channel: int = 1


class ScanImageTiff:
    """A ScanImage TIFF file, open for reading; a context manager.

    shape (lines, pixels), dtype, rate_hz (from the recorded times; of volumes, where
    there are several planes), planes (depths in um), channels (those read: one, if one
    is asked for, else all that were saved) and `notice`: a sentence if the file is cut
    short, else empty. Its length is that of `frames`. Memory does not grow with the
    file. Raises `RecordingError` with a sentence for what cannot be replayed.
    """

    def __init__(self, path: Path | str, channel: int | None = None) -> None:
        self.path = Path(path)
        self._pages: _Pages | None = None
        tiff = _open(self.path)
        try:
            self._header = _header(tiff)
            self.planes = self._header.planes
            self.channels = self._chosen(channel)
            n_pages, is_cut = _whole_pages(tiff)
            self._n_images = n_pages // len(self._header.channels)
            self.notice = self._notice() if is_cut else ""
            self.shape, self.dtype = self._pixel_layout(tiff)
            self._pages = self._reader(tiff, is_cut)
            self.rate_hz = self._rate_hz()
        except RecordingError as error:
            tiff.close()
            self.close()
            raise RecordingError(f"{self.path} cannot be replayed: {error}") from None

    def __len__(self) -> int:
        whole, rest = divmod(self._n_images, self._header.volume)
        n_planes = len(self.planes)
        return len(self.channels) * (whole * n_planes + min(rest, n_planes))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; frames cannot be read any more."""
        if self._pages is not None:
            self._pages.close()
            self._pages = None

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames in order, the channels of an image one after the other."""
        for i in range(self._n_images):
            plane = i % self._header.volume
            if plane < len(self.planes):
                yield from self._channels_of(i, plane)

    def _channels_of(self, i: int, plane: int) -> Iterator[RecordedFrame]:
        number, t_s = self._stamp(i)
        for channel in self.channels:
            pixels = self._open_pages().pixels(self._page(i, channel))
            if pixels.shape != self.shape or pixels.dtype != self.dtype:
                raise RecordingError(
                    f"{self.path}: frame {number} is {pixels.dtype} "
                    f"{list(pixels.shape)}, the first was {self.dtype} "
                    f"{list(self.shape)}"
                )
            yield RecordedFrame(number, t_s, pixels, plane, channel)

    def _open_pages(self) -> _Pages:
        if self._pages is None:
            raise RecordingError(f"{self.path} is closed")
        return self._pages

    def _page(self, i: int, channel: int) -> int:
        saved = self._header.channels
        return i * len(saved) + saved.index(channel)

    def _stamp(self, i: int) -> tuple[int, float]:
        if not self._header.numbered:
            return i + 1, i / self._header.rate_hz
        page = self._page(i, self.channels[0])
        number, t_s = frame_stamp(self._open_pages().description(page))
        return (number - 1) // self._header.volume + 1, t_s

    def _chosen(self, channel: int | None) -> tuple[int, ...]:
        saved = self._header.channels
        if channel is None:
            return saved
        if channel not in saved:
            known = ", ".join(map(str, saved))
            raise RecordingError(
                f"channel {channel} was not saved; choose from {known}"
            )
        return (channel,)

    def _notice(self) -> str:
        missing = (self._header.announced or 0) - len(self) // len(self.channels)
        rest = f"{missing} of the {self._header.announced} announced are missing"
        return (
            f"{self.path} is cut short: {self._n_images} whole frames are there, "
            f"{rest if missing > 0 else 'the rest is missing'}"
        )

    def _pixel_layout(self, tiff: tifffile.TiffFile) -> tuple[tuple[int, int], Any]:
        if not self._n_images:
            raise RecordingError("there is no whole frame in it")
        page, dtype = tiff.pages.first, tiff.pages.first.dtype
        if len(page.shape) != 2 or dtype is None or dtype.name not in PIXEL_TYPES:
            raise RecordingError(
                f"its pixels are {dtype} {list(page.shape)}; "
                f"{' or '.join(PIXEL_TYPES)} (lines, pixels) can be"
            )
        return (page.shape[0], page.shape[1]), dtype.newbyteorder("=")

    def _reader(self, tiff: tifffile.TiffFile, is_cut: bool) -> _Pages:
        if not is_cut and _is_plain(tiff) and (fast := _fast_pages(self.path)):
            tiff.close()
            return fast
        pages = _TifffilePages(tiff)
        pages.pixels(0)
        return pages

    def _rate_hz(self) -> float:
        step = self._header.volume  # the first plane alone
        images = range(0, self._n_images, step)[:RATE_FRAMES]
        times = [self._stamp(i)[1] for i in images]
        steps = [later - t for t, later in itertools.pairwise(times)]
        period_s = statistics.median(steps) if steps else 0.0
        return 1.0 / period_s if period_s > 0 else self._header.rate_hz


class _Pages(Protocol):
    def pixels(self, page: int) -> Array: ...
    def description(self, page: int) -> str: ...
    def close(self) -> None: ...


class _TifffilePages:
    """Reads every page by itself; knows compression and survives a cut file."""

    def __init__(self, tiff: tifffile.TiffFile) -> None:
        self._tiff = tiff

    def pixels(self, page: int) -> Array:
        try:
            pixels: Array = self._tiff.pages[page].asarray()
        except Exception as error:  # decoders raise what they like
            raise RecordingError(f"page {page} does not decode: {error}") from None
        return pixels

    def description(self, page: int) -> str:
        tags: Any = self._tiff.pages.get(page)
        return str(tags.description)

    def close(self) -> None:
        self._tiff.close()


class _FastPages:
    """ScanImage's own reader, for the plain files it is safe with.

    It crashes the process on a page out of range or after close, which is why nothing
    but `ScanImageTiff`, whose pages are counted, holds one.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def pixels(self, page: int) -> Array:
        pixels: Array = self._reader.data(page, page + 1)[0]
        return pixels

    def description(self, page: int) -> str:
        return str(self._reader.description(page))

    def close(self) -> None:
        self._reader.close()


def _fast_pages(path: Path) -> _Pages | None:
    """Return None where the reader's library does not load or refuses the file."""
    try:
        from ScanImageTiffReader import ScanImageTiffReader

        return _FastPages(ScanImageTiffReader(str(path)))
    except Exception:  # a bare Exception is what the library raises
        return None


def _is_plain(tiff: tifffile.TiffFile) -> bool:
    # Its C library takes the path as bytes in the code page of the system.
    return bool(
        tiff.is_bigtiff
        and tiff.byteorder == "<"
        and tiff.pages.first.compression == tifffile.COMPRESSION.NONE
        and tiff.filehandle.path.isascii()
    )


def _open(path: Path) -> tifffile.TiffFile:
    if not path.is_file():
        raise RecordingError(f"recording {path} does not exist")
    if not path.stat().st_size:
        raise RecordingError(f"recording {path} is empty")
    log = logging.getLogger("tifffile")
    if not log.handlers:  # what it would print about a cut file, `notice` says better
        log.addHandler(logging.NullHandler())
    try:
        tiff = tifffile.TiffFile(path)
    except Exception as error:  # damaged files break it in many ways
        raise RecordingError(f"{path} is not a readable TIFF file: {error}") from None
    return tiff


def _header(tiff: tifffile.TiffFile) -> Header:
    try:
        is_scanimage, description = tiff.is_scanimage, tiff.pages.first.description
        metadata = tiff.scanimage_metadata or {}
    except Exception as error:  # as above
        raise RecordingError(f"its first page cannot be read: {error}") from None
    if not is_scanimage:
        raise RecordingError("ScanImage did not write it")
    settings = metadata.get("FrameData")
    if isinstance(settings, dict):
        return read_header(settings, metadata.get("RoiGroups") or {})
    return read_old_header(description)


def _whole_pages(tiff: tifffile.TiffFile) -> tuple[int, bool]:
    """Count leading pages whose pixels are all there; and say if the file is cut."""
    n_pages = n_whole = len(tiff.pages)
    while n_whole and not _is_whole(tiff, n_whole - 1):
        n_whole -= 1
    # Where the last page names its follower: no zero there means one that is gone.
    tiff.filehandle.seek(tiff.pages.next_page_offset or 0)
    follower = tiff.filehandle.read(tiff.tiff.offsetsize)
    return n_whole, n_whole < n_pages or any(follower)


def _is_whole(tiff: tifffile.TiffFile, page: int) -> bool:
    try:
        tags = tiff.pages[page]
    except Exception:  # its tags are beyond the end
        return False
    ends = zip(tags.dataoffsets, tags.databytecounts, strict=True)
    return all(start + size <= tiff.filehandle.size for start, size in ends)
