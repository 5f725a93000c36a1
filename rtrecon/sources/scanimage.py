"""What ScanImage says of its frames: settings once, number and time with each."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from rtrecon.sources.recording import RecordingError as RecordingError
from rtrecon.sources.scan_fields import ScanField, scan_fields


@dataclass(frozen=True)
class Header:
    """What must be known before the first frame.

    channels: 1-based, in the order in which their pages follow each other.
    rate_hz: as the settings say, which is rounded; of volumes where there are several
    planes. announced: images of each channel that were asked for, of which fewer are
    there after an abort; None where there was no limit. numbered: whether each frame
    says its own number and time. planes: depths in um. flyback: images of each volume,
    after the last plane, that are of none. fields: those that lie one below the other
    in each page; empty where the page is the field.
    """

    channels: tuple[int, ...]
    rate_hz: float
    announced: int | None
    numbered: bool
    planes: tuple[float, ...] = (0.0,)
    flyback: int = 0
    fields: tuple[ScanField, ...] = ()

    @property
    def volume(self) -> int:
        """How many images of each channel make a volume, flyback included."""
        return len(self.planes) + self.flyback


def read_header(settings: dict[str, Any], roi_groups: dict[str, Any]) -> Header:
    """Interpret the settings of ScanImage 5.1 and later, keys like 'SI.acqState'.

    Raises `RecordingError` for a slow stack, which is no movie, for scan fields whose
    places in the page are not known, and for a missing setting.
    """
    average = int(settings.get("SI.hScan2D.logAverageFactor", 1))
    planes, flyback = _planes(settings)
    limit = "numVolumes" if len(planes) > 1 else "framesPerSlice"
    announced = _limit(settings.get(f"SI.hStackManager.{limit}"), average)
    fields = _fields(settings, roi_groups)
    try:
        image_hz = float(settings["SI.hRoiManager.scanFrameRate"]) / average
        return Header(
            channels=_channels(settings["SI.hChannels.channelSave"]),
            rate_hz=image_hz / (len(planes) + flyback),
            announced=announced and announced * len(planes),
            numbered=True,
            planes=planes,
            flyback=flyback,
            fields=fields,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"its ScanImage settings lack {error}") from None


def frame_stamp(description: str) -> tuple[int, float]:
    """Return the number and the time in s that a frame's own text gives it."""
    number = re.search(r"^(?:frameNumbers|Frame Number)\s*=\s*(\d+)", description, re.M)
    time_s = re.search(
        r"^(?:frameTimestamps_sec|Frame Timestamp\(s\))\s*=\s*([-+.\deE]+)",
        description,
        re.M,
    )
    if number is None or time_s is None:
        raise RecordingError("a frame carries no frameNumbers or frameTimestamps_sec")
    return int(number[1]), float(time_s[1])


def place_in_acquisition(description: str) -> int:
    """Return how many images of the acquisition came before; 0 if it is not said.

    A file that goes on where another was full may begin in the midst of a volume.
    """
    number = re.search(r"^frameNumberAcquisition\s*=\s*(\d+)", description, re.M)
    return int(number[1]) - 1 if number else 0


def _planes(settings: dict[str, Any]) -> tuple[tuple[float, ...], int]:
    """Return the depths in um of a fast-z volume's planes, and its flyback images."""
    n_slices = int(settings.get("SI.hStackManager.numSlices", 1))
    fast = (
        _is_on(settings, "hFastZ.enable")
        or settings.get("SI.hStackManager.stackMode") == "fast"
    )
    # numSlices keeps its last value while stacks are off.
    if n_slices <= 1 or not (fast or _is_on(settings, "hStackManager.enable")):
        return (0.0,), 0
    if not fast:
        raise RecordingError(
            f"it is a slow stack of {n_slices} planes, one after the other; only "
            "volumes scanned by fast z can be replayed"
        )
    whole = settings.get("SI.hStackManager.numFramesPerVolumeWithFlyback")
    discarded = int(settings.get("SI.hFastZ.numDiscardFlybackFrames", 0))
    flyback = discarded if whole is None else int(whole) - n_slices
    if flyback < 0:
        raise RecordingError(
            f"its settings say {n_slices} planes in {whole} images of a volume"
        )
    return _depths_um(settings, n_slices), flyback


def _depths_um(settings: dict[str, Any], n_slices: int) -> tuple[float, ...]:
    zs = settings.get("SI.hStackManager.zs")
    if isinstance(zs, list) and len(zs) == n_slices:
        return tuple(float(z[0] if isinstance(z, list) else z) for z in zs)
    step_um = float(settings.get("SI.hStackManager.stackZStepSize") or 0.0)
    return tuple(k * step_um for k in range(n_slices))


def _is_on(settings: dict[str, Any], name: str) -> bool:
    return bool(settings.get(f"SI.{name}", False))


def _fields(
    settings: dict[str, Any], roi_groups: dict[str, Any]
) -> tuple[ScanField, ...]:
    if not _is_on(settings, "hRoiManager.mroiEnable"):
        return ()
    fields = scan_fields(roi_groups)
    return fields if len(fields) > 1 else ()


def _channels(saved: Any) -> tuple[int, ...]:
    """Read a number, a row [1, 2] or a column [[1], [2]]."""
    if not isinstance(saved, list):
        return (int(saved),)
    return tuple(int(c[0] if isinstance(c, list) else c) for c in saved)


def _limit(frames: Any, average: int) -> int | None:
    if not isinstance(frames, int | float) or not math.isfinite(frames):
        return None
    return int(frames) // average
