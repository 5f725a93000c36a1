"""Scan fields of one page: ScanImage stores several fields one below the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtrecon.sources.recording import RecordingError

FieldSlices = tuple[slice, slice]  # lines, pixels of the page


@dataclass(frozen=True)
class ScanField:
    """A scan field: its name and its size (lines, pixels) in the page."""

    name: str
    shape: tuple[int, int]


def read_scan_fields(roi_groups: dict[str, Any]) -> tuple[ScanField, ...]:
    """Return the enabled imaging fields in the order in which they were scanned.

    Raises `RecordingError` if sizes are missing or a field changes between planes.
    """
    rois = _as_list((roi_groups.get("imagingRoiGroup") or {}).get("rois"))
    enabled = [roi for roi in rois if roi.get("enable", 1)]
    try:
        return tuple(_read_field(roi, k) for k, roi in enumerate(enabled, 1))
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


def _read_field(roi: dict[str, Any], number: int) -> ScanField:
    sizes = {
        tuple(map(int, field["pixelResolutionXY"]))
        for field in _as_list(roi["scanfields"])
    }
    ((pixels, lines),) = sizes  # raises ValueError if the sizes differ
    return ScanField(str(roi.get("name") or f"ROI {number}"), (lines, pixels))


def _as_list(item: Any) -> list[Any]:
    """Return a list: MATLAB's JSON writes a list of one item as the item itself."""
    if item is None:
        return []
    return item if isinstance(item, list) else [item]


def _format_size(field: ScanField) -> str:
    return f"{field.shape[0]} x {field.shape[1]}"
