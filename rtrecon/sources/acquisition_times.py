"""When each image of a TIFF file was acquired, as the program that wrote it tells.

Micro-Manager, MetaMorph and the DateTime tag of TIFF tell it for each image; OME-XML
tells it in `ome_xml`. The times of a time-lapse count: a rate would hide its pauses.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np
import tifffile

from rtrecon.core.frame_intervals import format_interval
from rtrecon.core.types import Array
from rtrecon.sources.pixel_size import read_plane_metadata

_FORMATS: tuple[str, ...] = (
    "%Y%m%d %H:%M:%S.%f",
    "%Y%m%d %H:%M:%S",
    "%Y:%m:%d %H:%M:%S.%f",
)
_FORMATS += ("%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")
# The times of faster images are not read: a tag of every page would take long.
_MIN_INTERVAL_S = 1.0
_LONGEST_STEP = 1.5  # in usual intervals; a longer one is a pause


def read_times(tiff: tifffile.TiffFile, n_images: int) -> Array | None:
    """Return (n_images,) float64, when each image was acquired, in s.

    The first time has no meaning of its own, except that files of one program count
    from the same moment. None if the file does not tell it, or for a fast movie.
    """
    with suppress(Exception):  # damaged metadata break tifffile in many ways
        if n_images != len(tiff.pages):  # of ImageJ: one page with all images
            return None
        first = _read_time(tiff, 0)
        if first is None:
            return None
        if n_images > 1:
            second = _read_time(tiff, n_images // 2)
            if second is None or second - first < _MIN_INTERVAL_S * (n_images // 2):
                return None
        times = [_read_time(tiff, k) for k in range(n_images)]
        if None not in times:
            return np.array(times, np.float64)
    return None


def find_interval(times_s: Array) -> float | None:
    """Return the usual interval in s of increasing times; None if it is unclear."""
    steps_s = np.diff(times_s)
    if not len(steps_s) or not np.isfinite(steps_s).all() or steps_s.min() <= 0:
        return None
    return float(np.median(steps_s))


def describe_pauses(times_s: Array, interval_s: float) -> str:
    """Return a sentence if the interval is not regular; else ""."""
    steps_s = np.diff(times_s)
    n_pauses = int(np.count_nonzero(steps_s > _LONGEST_STEP * interval_s))
    if not n_pauses:
        return ""
    return (
        f"the interval is {format_interval(interval_s)}, but {n_pauses} time(s) "
        f"longer, at most {format_interval(float(steps_s.max()))}; frames have the "
        "times of the file"
    )


def _read_time(tiff: tifffile.TiffFile, index: int) -> float | None:
    page: Any = tiff.pages[index]
    if not hasattr(page, "tags"):  # tifffile reads some pages without their tags
        page = page.aspage()
    elapsed_ms = read_plane_metadata(page).get("ElapsedTime-ms")
    if elapsed_ms is not None:
        return float(elapsed_ms) / 1000
    if tiff.is_stk:
        return float(tiff.stk_metadata["TimeCreated"][index])  # type: ignore[index]
    text = str(page.tags.valueof("DateTime", default=""))
    if tiff.is_metaseries and index == 0:
        info: Any = (tiff.metaseries_metadata or {}).get("PlaneInfo", {})
        text = str(info.get("acquisition-time-local", text))
    return _parse_moment(text)


def _parse_moment(text: str) -> float | None:
    for moment_format in _FORMATS:
        with suppress(ValueError):
            moment = datetime.strptime(text.strip("\0 "), moment_format)
            # Local time as if it were UTC: a change to summer time is not seen.
            return moment.replace(tzinfo=UTC).timestamp()
    return None
