"""Scan fields of one page: ScanImage stores several fields one below the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rtrecon.sources.recording import RecordingError

FieldSlices = tuple[slice, slice]  # lines, pixels of the page


@dataclass(frozen=True)
class ScanField:
    """A scan field: its name and its size (lines, pixels) in the page.

    um_per_px: size of a pixel (geometric mean of both directions); None if unknown.
    """

    name: str
    shape: tuple[int, int]
    um_per_px: float | None = None


def read_scan_fields(
    roi_groups: dict[str, Any], um_per_degree: float | None = None
) -> tuple[ScanField, ...]:
    """Return the enabled imaging fields in the order in which they were scanned.

    um_per_degree: distance in the sample for each degree of the scan angle, in which
    ScanImage stores the size of a field; None if unknown. Raises `RecordingError` if
    sizes are missing or a field changes between planes.
    """
    rois = _as_list((roi_groups.get("imagingRoiGroup") or {}).get("rois"))
    enabled = [roi for roi in rois if roi.get("enable", 1)]
    try:
        return tuple(
            _read_field(roi, k, um_per_degree) for k, roi in enumerate(enabled, 1)
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise RecordingError(
            f"it holds {len(enabled)} scan fields without a size for each"
        ) from None


def locate_field(
    fields: tuple[ScanField, ...], field: ScanField, page: tuple[int, int]
) -> FieldSlices:
    """Return where a field lies in pages of shape `page` (lines, pixels).

    Between two fields lie the lines that passed while the beam moved to the next field,
    equally many each time. Raises `RecordingError` if the page has another shape.
    """
    n_used = sum(field.shape[0] for field in fields)
    gap, rest = divmod(page[0] - n_used, max(1, len(fields) - 1))
    widest = max(field.shape[1] for field in fields)
    if gap < 0 or rest or widest > page[1]:
        raise RecordingError(
            f"its {len(fields)} scan fields of "
            f"{', '.join(_format_size(f) for f in fields)} "
            f"do not fit its pages of {page[0]} lines x {page[1]} pixels"
        )
    preceding = fields[: fields.index(field)]
    first_line = sum(other.shape[0] + gap for other in preceding)
    lines, pixels = field.shape
    return slice(first_line, first_line + lines), slice(0, pixels)


def select_field(fields: tuple[ScanField, ...], name: str | None) -> ScanField:
    """Return the field of this name, or the first; raises `RecordingError`."""
    if name is None:
        return fields[0]
    for field in fields:
        if field.name == name:
            return field
    names = ", ".join(field.name for field in fields) or "one, which has no name"
    raise RecordingError(f"it holds no scan field {name!r}; its fields are {names}")


def _read_field(
    roi: dict[str, Any], number: int, um_per_degree: float | None
) -> ScanField:
    scan_fields = _as_list(roi["scanfields"])
    sizes = {tuple(map(int, field["pixelResolutionXY"])) for field in scan_fields}
    ((pixels, lines),) = sizes  # raises ValueError if the sizes differ
    name = str(roi.get("name") or f"ROI {number}")
    scales = {_read_um_per_px(field, um_per_degree) for field in scan_fields}
    um_per_px = scales.pop() if len(scales) == 1 else None
    return ScanField(name, (lines, pixels), um_per_px)


def _read_um_per_px(
    scan_field: dict[str, Any], um_per_degree: float | None
) -> float | None:
    """Return None if the size of the field is not stored."""
    try:
        width, height = map(float, scan_field["sizeXY"])
        pixels, lines = map(float, scan_field["pixelResolutionXY"])
        scale = (um_per_degree or 0.0) * math.sqrt(width / pixels * height / lines)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return scale if scale > 0 and math.isfinite(scale) else None


def _as_list(item: Any) -> list[Any]:
    """Return a list: MATLAB's JSON writes a list of one item as the item itself."""
    if item is None:
        return []
    return item if isinstance(item, list) else [item]


def _format_size(field: ScanField) -> str:
    return f"{field.shape[0]} x {field.shape[1]}"
