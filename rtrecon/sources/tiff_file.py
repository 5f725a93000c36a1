"""Opening TIFF files, telling ScanImage's from others, and counting whole pages."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import tifffile

from rtrecon.sources.recording import RecordingError

# Up to this size, the links between the pages of a classic TIFF file reach all pages.
_MAX_LINKED_BYTES = 2**31


def open_tiff(path: Path) -> tifffile.TiffFile:
    """Open a TIFF file of any program; raises `RecordingError` that names the file."""
    if not path.is_file():
        raise RecordingError(f"recording {path} does not exist")
    if not path.stat().st_size:
        raise RecordingError(f"recording {path} is empty")
    log = logging.getLogger("tifffile")
    if not log.handlers:  # `Recording.notice` reports a truncated file more clearly
        log.addHandler(logging.NullHandler())
    # For old ScanImage files, tifffile can guess where pages lie, but may then miss the
    # last page. The guess is needed only where links cannot reach all pages.
    is_guess_needed = path.stat().st_size >= _MAX_LINKED_BYTES
    try:
        tiff = tifffile.TiffFile(path, is_scanimage=None if is_guess_needed else False)
    except Exception as error:  # damaged files break tifffile in many ways
        raise RecordingError(f"{path} is not a readable TIFF file: {error}") from None
    return tiff


def is_scanimage(tiff: tifffile.TiffFile) -> bool:
    """Return whether ScanImage wrote the file; True if the first page is damaged."""
    try:
        return bool(tiff.pages.first.is_scanimage)
    except Exception:  # damaged files break tifffile in many ways
        return True


def is_scanimage_file(path: Path) -> bool:
    """Return whether ScanImage wrote the TIFF file at `path`."""
    with open_tiff(path) as tiff:
        return is_scanimage(tiff)


def explain_decoding_error(error: Exception) -> str:
    """Return why a page cannot be decoded, and what to install if a decoder lacks."""
    compression = re.search(r"COMPRESSION\.(\w+)", str(error))
    if "imagecodecs" not in str(error) or compression is None:
        return str(error)
    return (
        f"it is compressed with {compression[1]}, which needs another package; "
        "pip install imagecodecs"
    )


def count_whole_pages(tiff: tifffile.TiffFile) -> tuple[int, bool]:
    """Return the number of leading complete pages, and whether the file is truncated.

    A page is complete if all of its pixels lie within the file.
    """
    n_pages = n_whole = len(tiff.pages)
    while n_whole and not _is_page_whole(tiff, n_whole - 1):
        n_whole -= 1
    # The link after the last page is zero, unless a further page has been cut off.
    tiff.filehandle.seek(tiff.pages.next_page_offset or 0)
    link = tiff.filehandle.read(tiff.tiff.offsetsize)
    return n_whole, n_whole < n_pages or any(link)


def _is_page_whole(tiff: tifffile.TiffFile, page: int) -> bool:
    try:
        tags = tiff.pages[page]
    except Exception:  # the page's tags lie beyond the end of the file
        return False
    strips = zip(tags.dataoffsets, tags.databytecounts, strict=True)
    return all(start + size <= tiff.filehandle.size for start, size in strips)
