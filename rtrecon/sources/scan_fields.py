"""Several scan fields in one image: ScanImage stacks them, one below the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtrecon.sources.recording import RecordingError

Box = tuple[slice, slice]  # lines, pixels of the page


@dataclass(frozen=True)
class ScanField:
    """A field's name and its size in the page."""

    name: str
    shape: tuple[int, int]


def scan_fields(roi_groups: dict[str, Any]) -> tuple[ScanField, ...]:
    """Return the imaging fields that were on, in the order in which they were scanned.

    MATLAB's JSON writes a list of one as the thing itself. Raises `RecordingError`
    where sizes are missing or a field changes from plane to plane.
    """
    rois = _listed((roi_groups.get("imagingRoiGroup") or {}).get("rois"))
    on = [roi for roi in rois if roi.get("enable", 1)]
    try:
        return tuple(_field(roi, k) for k, roi in enumerate(on, 1))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise RecordingError(
            f"it holds {len(on)} scan fields without a size for each"
        ) from None


def box_of(
    fields: tuple[ScanField, ...], chosen: ScanField, page: tuple[int, int]
) -> Box:
    """Return where a field lies in pages (lines, pixels).

    Between two fields lie the lines that passed while the beam flew to the next one, as
    many each time. Raises `RecordingError` where the page has no such shape.
    """
    used = sum(field.shape[0] for field in fields)
    gap, rest = divmod(page[0] - used, max(1, len(fields) - 1))
    widest = max(field.shape[1] for field in fields)
    if gap < 0 or rest or widest > page[1]:
        raise RecordingError(
            f"its {len(fields)} scan fields of {', '.join(_size(f) for f in fields)} "
            f"do not fit its pages of {page[0]} lines x {page[1]} pixels"
        )
    place = fields.index(chosen)
    first = sum(field.shape[0] + gap for field in fields[:place])
    lines, pixels = chosen.shape
    return slice(first, first + lines), slice(0, pixels)


def choose(fields: tuple[ScanField, ...], name: str | None) -> ScanField:
    """Return the field of this name, or the first; raises `RecordingError`."""
    if name is None:
        return fields[0]
    for field in fields:
        if field.name == name:
            return field
    known = ", ".join(field.name for field in fields) or "one, which has no name"
    raise RecordingError(f"it holds no scan field {name!r}; its fields are {known}")


def _field(roi: dict[str, Any], k: int) -> ScanField:
    sizes = {
        tuple(map(int, field["pixelResolutionXY"]))
        for field in _listed(roi["scanfields"])
    }
    ((pixels, lines),) = sizes  # a ValueError where they differ
    return ScanField(str(roi.get("name") or f"ROI {k}"), (lines, pixels))


def _listed(item: Any) -> list[Any]:
    if item is None:
        return []
    return item if isinstance(item, list) else [item]


def _size(field: ScanField) -> str:
    return f"{field.shape[0]} x {field.shape[1]}"
