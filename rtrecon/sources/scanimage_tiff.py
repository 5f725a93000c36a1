"""Reader for ScanImage TIFF files, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import tifffile

from rtrecon.core.types import Array
from rtrecon.sources.frame_renumbering import FrameRenumbering
from rtrecon.sources.recording import (
    RecordedFrame,
    Recording,
    RecordingError,
    RecordingHints,
)
from rtrecon.sources.scanimage_header import ScanImageHeader, read_header
from rtrecon.sources.scanimage_legacy_header import read_legacy_header
from rtrecon.sources.scanimage_pages import (
    FrameAssembler,
    MismatchedFrameError,
    PageReader,
)
from rtrecon.sources.tiff_file import (
    count_whole_pages,
    explain_decoding_error,
    open_tiff,
)


def open_scanimage_tiff(path: Path, hints: RecordingHints) -> Recording:
    """Open a ScanImage file, which stores its own frame rate and image size.

    Raises `RecordingError`, also for hints of rate or size.
    """
    if hints.rate_hz or hints.shape:
        raise RecordingError(
            "ScanImage stored the frame rate and the image size in it; leave out "
            "--rate-hz and --shape"
        )
    return ScanImageTiff(path, hints.channel, hints.field)


class ScanImageTiff(Recording):
    """A ScanImage TIFF file, open for reading.

    channel: read this channel only (from 1); None = all saved channels. field: name of
    the scan field to read, if there are several; None = the first. `rate_hz` is
    measured from the recorded times. `notice` reports a truncated file. `len()` is the
    number of frames. Raises `RecordingError` for a file that cannot be read as a movie.
    """

    n_frames: int

    def __init__(
        self, path: Path | str, channel: int | None = None, field: str | None = None
    ) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self._pages: PageReader | None = None
        tiff = open_tiff(self.path)
        try:
            header = read_tiff_header(tiff)
            n_pages, is_truncated = count_whole_pages(tiff)
            layout = _read_page_layout(tiff, n_pages)
            self._assembler = FrameAssembler(header, layout, channel, field)
            self._n_images = n_pages // len(header.channels)
            if not self._n_images:
                raise RecordingError("it contains no complete frame")
            self._pages = self._choose_page_reader(tiff, is_truncated)
            self._set_attributes(is_truncated)
        except RecordingError:
            tiff.close()
            self.close()
            raise

    def __len__(self) -> int:
        return self.n_frames

    def close(self) -> None:
        """Close the file; frames cannot be read afterwards."""
        if self._pages is not None:
            self._pages.close()
            self._pages = None

    def frames(self) -> Iterator[RecordedFrame]:
        """Yield the frames in order; the channels of an image follow each other.

        Numbers and times increase: `notice` reports if those in the file do not.
        """
        renumbering = FrameRenumbering(self.rate_hz)
        yield from renumbering.renumber(self._read_recorded_frames())
        if renumbering.notice and renumbering.notice not in self.notice:
            self.notice = "; ".join(filter(None, [self.notice, renumbering.notice]))

    def _read_recorded_frames(self) -> Iterator[RecordedFrame]:
        for image_index in range(self._n_images):
            try:
                yield from self._assembler.read_frames(
                    self._require_open(), image_index
                )
            except MismatchedFrameError as error:
                raise RecordingError(f"{self.path}: {error}") from None

    def _require_open(self) -> PageReader:
        if self._pages is None:
            raise RecordingError(f"{self.path} is closed")
        return self._pages

    def _set_attributes(self, is_truncated: bool) -> None:
        assembler, pages = self._assembler, self._require_open()
        assembler.find_first_image(pages)
        self.shape, self.dtype = assembler.shape, assembler.dtype
        self.channels, self.planes = assembler.channels, assembler.planes
        self.n_frames = assembler.count_frames(self._n_images)
        self.rate_hz = assembler.measure_rate_hz(pages, self._n_images)
        self.um_per_px = assembler.um_per_px
        self.notice = self._describe_truncation() if is_truncated else assembler.notice

    def _describe_truncation(self) -> str:
        n_requested = self._assembler.header.n_requested
        n_missing = (n_requested or 0) - len(self) // len(self.channels)
        missing = f"{n_missing} of the {n_requested} requested frames are missing"
        return (
            f"{self.path} is truncated: it contains {self._n_images} complete frames, "
            f"{missing if n_missing > 0 else 'the rest is missing'}"
        )

    def _choose_page_reader(
        self, tiff: tifffile.TiffFile, is_truncated: bool
    ) -> PageReader:
        if not is_truncated and _is_readable_by_scanimage(tiff):
            fast_reader = _open_scanimage_reader(self.path)
            if fast_reader is not None:
                tiff.close()
                return fast_reader
        pages = _TifffilePages(tiff)
        pages.read_pixels(0)
        return pages


class _TifffilePages:
    """Reads each page with tifffile, which handles compression and truncated files."""

    def __init__(self, tiff: tifffile.TiffFile) -> None:
        self._tiff = tiff

    def read_pixels(self, page: int) -> Array:
        try:
            pixels: Array = self._tiff.pages[page].asarray()
        except Exception as error:  # decoders raise exceptions of many types
            raise RecordingError(
                f"page {page} cannot be decoded: {explain_decoding_error(error)}"
            ) from None
        return pixels

    def read_description(self, page: int) -> str:
        tags: Any = self._tiff.pages.get(page)
        return str(tags.description)

    def close(self) -> None:
        self._tiff.close()


class _ScanImageReaderPages:
    """Reads pages with ScanImage's own library, which is faster than tifffile.

    The library crashes the process if a page is out of range or the file is closed.
    Only `ScanImageTiff`, which counts the pages first, may use this class.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read_pixels(self, page: int) -> Array:
        pixels: Array = self._reader.data(page, page + 1)[0]
        return pixels

    def read_description(self, page: int) -> str:
        return str(self._reader.description(page))

    def close(self) -> None:
        self._reader.close()


def _open_scanimage_reader(path: Path) -> PageReader | None:
    """Return None if the library cannot be loaded or does not accept the file."""
    try:
        from ScanImageTiffReader import ScanImageTiffReader

        return _ScanImageReaderPages(ScanImageTiffReader(str(path)))
    except Exception:  # the library raises a bare Exception
        return None


def _is_readable_by_scanimage(tiff: tifffile.TiffFile) -> bool:
    # The C library takes the path as bytes in the system's code page: ASCII is safe.
    return bool(
        tiff.is_bigtiff
        and tiff.byteorder == "<"
        and tiff.pages.first.compression == tifffile.COMPRESSION.NONE
        and tiff.filehandle.path.isascii()
    )


def read_tiff_header(tiff: tifffile.TiffFile) -> ScanImageHeader:
    """Read the ScanImage settings of an open file; raises `RecordingError`."""
    try:
        is_scanimage = tiff.pages.first.is_scanimage
        description = tiff.pages.first.description
        settings, roi_groups = _read_settings(tiff)
    except Exception as error:  # damaged files break tifffile in many ways
        raise RecordingError(f"its first page cannot be read: {error}") from None
    if not is_scanimage:
        raise RecordingError("ScanImage did not write it")
    if settings:
        return read_header(settings, roi_groups)
    return read_legacy_header(description)


def _read_settings(tiff: tifffile.TiffFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return settings and ROI groups, from the file's header or the first page."""
    with suppress(TypeError, ValueError):  # the file's header holds no settings
        settings, groups, _ = tifffile.read_scanimage_metadata(tiff.filehandle)
        return settings, groups.get("RoiGroups") or {}
    software = tiff.pages.first.software
    if not software.startswith("SI."):
        return {}, {}
    return tifffile.matlabstr2py(software), {}


def _read_page_layout(
    tiff: tifffile.TiffFile, n_pages: int
) -> tuple[tuple[int, ...], Any]:
    """Return the shape and the pixel type of the first page."""
    if not n_pages:
        raise RecordingError("it contains no complete frame")
    return tiff.pages.first.shape, tiff.pages.first.dtype
