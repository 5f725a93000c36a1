"""The XML file that PrairieView (Bruker) writes beside the images of a recording.

Written from descriptions of the format by other readers; not tested on a recording of a
microscope.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from xml.etree import ElementTree

from rtrecon.sources.recording import RecordingError

_VOLUMES = "TSeries ZSeries Element"  # type of a sequence: one volume
_N_RATE_FRAMES = 33  # the median of their intervals gives the rate


@dataclass(frozen=True)
class PrairieViewScan:
    """has_planes: each cycle is a volume. rate_hz: of volumes. None = unknown."""

    has_planes: bool
    rate_hz: float | None
    um_per_px: float | None


def read_prairie_view(path: Path) -> PrairieViewScan | None:
    """Return what the file holds about a scan; None if there is no such file.

    Raises `RecordingError` if it cannot be read.
    """
    if not path.is_file():
        return None
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise RecordingError(f"{path} cannot be read: {error}") from None
    sequences = root.findall("Sequence")
    are_volumes = all(sequence.get("type") == _VOLUMES for sequence in sequences)
    has_planes = are_volumes and len(sequences) > 1
    n_per_sequence = 1 if has_planes else None  # the first of each volume, or all
    frames = (
        frame
        for sequence in sequences
        for frame in sequence.findall("Frame")[:n_per_sequence]
    )
    times_s = [_read_time_s(frame) for frame in islice(frames, _N_RATE_FRAMES)]
    known_s = [t for t in times_s if t is not None]
    intervals = [later - t for t, later in pairwise(known_s) if later > t]
    return PrairieViewScan(
        has_planes,
        1 / statistics.median(intervals) if intervals else None,
        _read_um_per_px(root),
    )


def _read_time_s(frame: ElementTree.Element) -> float | None:
    text = frame.get("absoluteTime") or frame.get("relativeTime")
    return _to_number(text)


def _read_um_per_px(root: ElementTree.Element) -> float | None:
    value = root.find(
        "PVStateShard/PVStateValue[@key='micronsPerPixel']/IndexedValue[@index='XAxis']"
    )
    scale = None if value is None else _to_number(value.get("value"))
    return scale if scale and scale > 0 else None


def _to_number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
