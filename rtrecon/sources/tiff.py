"""Recorded sessions: ScanImage TIFF files, read frame by frame."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import tifffile

from rtrecon.core.types import Array
from rtrecon.sources.recording import RecordedFrame, Recording, RecordingError
from rtrecon.sources.scanimage import Header, read_header
from rtrecon.sources.scanimage_legacy import read_old_header
from rtrecon.sources.scanimage_pages import FrameError, Images, Pages

_LINKED_BYTES = 2**31  # of a classic TIFF file whose links reach all pages


class ScanImageTiff(Recording):
    """A ScanImage TIFF file, open for reading.

    channels: one, if one is asked for, else all that were saved. Of several scan
    `field`s one is read: the first if none is named. rate_hz is of the recorded times.
    `notice` is a sentence if the file is cut short. Its length is that of `frames`.
    Raises `RecordingError` with a sentence for what cannot be replayed.
    """

    n_frames: int

    def __init__(
        self, path: Path | str, channel: int | None = None, field: str | None = None
    ) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self._pages: Pages | None = None
        tiff = open_tiff(self.path)
        try:
            header = tiff_header(tiff)
            n_pages, is_cut = _whole_pages(tiff)
            self._images = Images(header, _first_page(tiff, n_pages), channel, field)
            self._n_images = n_pages // len(header.channels)
            if not self._n_images:
                raise RecordingError("there is no whole frame in it")
            self._pages = self._reader(tiff, is_cut)
            self._tell(is_cut)
        except RecordingError as error:
            tiff.close()
            self.close()
            raise RecordingError(f"{self.path} cannot be replayed: {error}") from None

    def __len__(self) -> int:
        return self.n_frames

    def close(self) -> None:
        """Close the file; frames cannot be read any more."""
        if self._pages is not None:
            self._pages.close()
            self._pages = None

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames in order, the channels of an image one after the other."""
        for i in range(self._n_images):
            try:
                yield from self._images.frames(self._open_pages(), i)
            except FrameError as error:
                raise RecordingError(f"{self.path}: {error}") from None

    def _open_pages(self) -> Pages:
        if self._pages is None:
            raise RecordingError(f"{self.path} is closed")
        return self._pages

    def _tell(self, is_cut: bool) -> None:
        images, pages = self._images, self._open_pages()
        images.begin(pages)
        self.shape, self.dtype = images.shape, images.dtype
        self.channels, self.planes = images.channels, images.planes
        self.n_frames = images.count(self._n_images)
        self.rate_hz = images.rate_hz(pages, self._n_images)
        self.notice = self._cut_notice() if is_cut else images.notice

    def _cut_notice(self) -> str:
        announced = self._images.header.announced
        missing = (announced or 0) - len(self) // len(self.channels)
        rest = f"{missing} of the {announced} announced are missing"
        return (
            f"{self.path} is cut short: {self._n_images} whole frames are there, "
            f"{rest if missing > 0 else 'the rest is missing'}"
        )

    def _reader(self, tiff: tifffile.TiffFile, is_cut: bool) -> Pages:
        if not is_cut and _is_plain(tiff) and (fast := _fast_pages(self.path)):
            tiff.close()
            return fast
        pages = _TifffilePages(tiff)
        pages.pixels(0)
        return pages


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


def _fast_pages(path: Path) -> Pages | None:
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


def open_tiff(path: Path) -> tifffile.TiffFile:
    """Open a TIFF file of whatever kind; raises `RecordingError`."""
    if not path.is_file():
        raise RecordingError(f"recording {path} does not exist")
    if not path.stat().st_size:
        raise RecordingError(f"recording {path} is empty")
    log = logging.getLogger("tifffile")
    if not log.handlers:  # what it would print about a cut file, `notice` says better
        log.addHandler(logging.NullHandler())
    # Of old files it guesses where pages lie, and may miss the last one. That is needed
    # only where they are too large for the links between pages.
    guesses = path.stat().st_size >= _LINKED_BYTES
    try:
        tiff = tifffile.TiffFile(path, is_scanimage=None if guesses else False)
    except Exception as error:  # damaged files break it in many ways
        raise RecordingError(f"{path} is not a readable TIFF file: {error}") from None
    return tiff


def is_scanimage(tiff: tifffile.TiffFile) -> bool:
    """Tell whether ScanImage wrote it; also if its first page is damaged."""
    try:
        return bool(tiff.pages.first.is_scanimage)
    except Exception:  # damaged files break it in many ways
        return True


def tiff_header(tiff: tifffile.TiffFile) -> Header:
    """Read what ScanImage says in an open file; raises `RecordingError`."""
    try:
        by_scanimage, text = tiff.pages.first.is_scanimage, tiff.pages.first.description
        settings, roi_groups = _settings(tiff)
    except Exception as error:  # as above
        raise RecordingError(f"its first page cannot be read: {error}") from None
    if not by_scanimage:
        raise RecordingError("ScanImage did not write it")
    return read_header(settings, roi_groups) if settings else read_old_header(text)


def _settings(tiff: tifffile.TiffFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings and ROI groups from the file's own block, or the first page."""
    with suppress(TypeError, ValueError):  # there is no such block
        settings, groups, _ = tifffile.read_scanimage_metadata(tiff.filehandle)
        return settings, groups.get("RoiGroups") or {}
    software = tiff.pages.first.software
    return (tifffile.matlabstr2py(software) if software.startswith("SI.") else {}), {}


def _first_page(tiff: tifffile.TiffFile, n_pages: int) -> tuple[tuple[int, ...], Any]:
    """Return the shape and the pixel type of the first page, if it is there."""
    if not n_pages:
        raise RecordingError("there is no whole frame in it")
    return tiff.pages.first.shape, tiff.pages.first.dtype


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
