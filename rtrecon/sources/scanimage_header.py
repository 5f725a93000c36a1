"""ScanImage's metadata: the settings of a file, and the number and time of a frame."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from rtrecon.sources.recording import RecordingError
from rtrecon.sources.scan_fields import ScanField, read_scan_fields
from rtrecon.sources.scanimage_stacks import StackScan, read_stack_scan


@dataclass(frozen=True)
class ScanImageHeader:
    """What the settings of a ScanImage file describe of its frames.

    channels: from 1, in the order of their pages. rate_hz: frame rate in the settings,
    which is rounded; volume rate if there are several planes. n_requested: images per
    channel that the user asked for (an aborted acquisition has fewer); None = no limit.
    has_stamps: whether each frame carries its number and time. planes: depths in um.
    n_repeats: images of each plane in a volume, one after the other. n_flyback: images
    after the last plane of each volume, which show no plane. fields: scan fields, one
    below the other in each page; empty if the page is the only field. um_per_px: size
    of a pixel (geometric mean of both directions); None if unknown, and with several
    fields, each of which has its own.
    """

    channels: tuple[int, ...]
    rate_hz: float
    n_requested: int | None
    has_stamps: bool
    planes: tuple[float, ...] = (0.0,)
    n_repeats: int = 1
    n_flyback: int = 0
    fields: tuple[ScanField, ...] = ()
    um_per_px: float | None = None

    @property
    def images_per_volume(self) -> int:
        """Images of each channel in one volume, flyback included."""
        return len(self.planes) * self.n_repeats + self.n_flyback


def read_header(
    settings: dict[str, Any], roi_groups: dict[str, Any]
) -> ScanImageHeader:
    """Interpret the settings of ScanImage 5.1 and later (keys like 'SI.acqState').

    Raises `RecordingError` for a slow stack, which is not a movie, for scan fields of
    unknown position, and for a missing setting.
    """
    average = int(settings.get("SI.hScan2D.logAverageFactor", 1))
    stack = read_stack_scan(settings)
    scan = stack or StackScan()
    fields = _read_fields(settings, roi_groups)
    try:
        image_hz = float(settings["SI.hRoiManager.scanFrameRate"]) / average
        return ScanImageHeader(
            channels=_parse_channels(settings["SI.hChannels.channelSave"]),
            rate_hz=image_hz / (len(scan.planes) * scan.n_repeats + scan.n_flyback),
            n_requested=_count_requested(settings, stack, average),
            has_stamps=True,
            planes=scan.planes,
            n_repeats=scan.n_repeats,
            n_flyback=scan.n_flyback,
            fields=fields,
            um_per_px=None if fields else _read_um_per_px(settings),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"its ScanImage settings lack {error}") from None


def parse_frame_stamp(description: str) -> tuple[int, float]:
    """Return the number and the time in s from the text of a frame's page."""
    number = re.search(r"^(?:frameNumbers|Frame Number)\s*=\s*(\d+)", description, re.M)
    time_s = re.search(
        r"^(?:frameTimestamps_sec|Frame Timestamp\(s\))\s*=\s*([-+.\deE]+)",
        description,
        re.M,
    )
    if number is None or time_s is None:
        raise RecordingError("a frame has no frameNumbers or frameTimestamps_sec")
    return int(number[1]), float(time_s[1])


def parse_acquisition_index(description: str) -> int:
    """Return the index of an image within its acquisition; 0 if it is not stored.

    The second file of an acquisition may begin in the middle of a volume.
    """
    number = re.search(r"^frameNumberAcquisition\s*=\s*(\d+)", description, re.M)
    return int(number[1]) - 1 if number else 0


def _read_um_per_px(settings: dict[str, Any]) -> float | None:
    """Return None if ScanImage did not know its objective."""
    try:
        corners_um = settings["SI.hRoiManager.imagingFovUm"]
        x_um, y_um = ([float(c[axis]) for c in corners_um] for axis in (0, 1))
        lines = float(settings["SI.hRoiManager.linesPerFrame"])
        pixels = float(settings["SI.hRoiManager.pixelsPerLine"])
        width_um, height_um = max(x_um) - min(x_um), max(y_um) - min(y_um)
        scale = math.sqrt(width_um / pixels * height_um / lines)
    except (IndexError, KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return scale if scale > 0 else None


def _read_um_per_degree(settings: dict[str, Any]) -> float | None:
    """Return None if ScanImage did not store its objective."""
    try:
        um_per_degree = float(settings["SI.objectiveResolution"])
    except (KeyError, TypeError, ValueError):
        return None
    return um_per_degree if math.isfinite(um_per_degree) else None


def _is_enabled(settings: dict[str, Any], name: str) -> bool:
    return bool(settings.get(f"SI.{name}", False))


def _read_fields(
    settings: dict[str, Any], roi_groups: dict[str, Any]
) -> tuple[ScanField, ...]:
    if not _is_enabled(settings, "hRoiManager.mroiEnable"):
        return ()
    fields = read_scan_fields(roi_groups, _read_um_per_degree(settings))
    return fields if len(fields) > 1 else ()


def _parse_channels(saved: Any) -> tuple[int, ...]:
    """Read a number, a row [1, 2] or a column [[1], [2]]."""
    if not isinstance(saved, list):
        return (int(saved),)
    return tuple(int(c[0] if isinstance(c, list) else c) for c in saved)


def _count_requested(
    settings: dict[str, Any], stack: StackScan | None, average: int
) -> int | None:
    """Return the frames of each channel that the user asked for; None = no limit."""
    if stack is not None:
        return stack.n_volumes and stack.n_volumes // average * len(stack.planes)
    n_frames = settings.get("SI.hStackManager.framesPerSlice")
    if not isinstance(n_frames, int | float) or not math.isfinite(n_frames):
        return None
    return int(n_frames) // average
