"""What a plane's frames are registered to, and where its neurons lie in it today."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtrecon.config import RegisterSettings, Settings, TracesSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.imaging.field_match.comparison import FieldReport, compare_fields
from rtrecon.imaging.field_match.mask_orientation import looks_transposed
from rtrecon.imaging.registration.registrar import make_template
from rtrecon.imaging.registration.scan_phase import find_scan_offset
from rtrecon.imaging.registration.z_drift import DepthPlanes, find_depth_planes
from rtrecon.imaging.traces.detector_offset import find_dark
from rtrecon.imaging.traces.neuropil import Masks, with_rings
from rtrecon.rois.roi_set import RoiSet
from rtrecon.sources.stack import read_stack


@dataclass(frozen=True)
class Known:
    """A plane's neurons, and the image they were drawn on, if there is one.

    image: (lines, pixels) float32, of another day perhaps; None: masks lie on today's.
    """

    rois: RoiSet
    image: Array | None


@dataclass(frozen=True)
class Depths:
    """Planes around the imaged one, `step` apart: um, or 1 where nobody knows."""

    planes: DepthPlanes
    step: float


@dataclass(frozen=True)
class Reference:
    """The template, (lines, pixels) float32, and the masks on it.

    today: what was seen today, which is the template unless that is of another day.
    report: how the neurons were found, where they were drawn on another day's image.
    scan_offset_px: by how much odd lines lie too far right. depth: the planes around
    this one, if a stack of them was given. offset_counts: what the detector reads in
    the dark. notices: what somebody should know.
    """

    template: Array
    masks: Masks
    today: Array
    report: FieldReport | None = None
    scan_offset_px: float = 0.0
    depth: Depths | None = None
    offset_counts: float = 0.0
    notices: tuple[str, ...] = ()


def find_reference(
    frames: list[Array],
    known: Known,
    settings: Settings,
    read: list[Array] | None = None,
) -> Reference:
    """Make today's template of frames (lines, pixels), and find the neurons in it.

    read: the same frames in the channel that activity is read from, if another.

    Where the field they were drawn on is not in it, that field stays the reference:
    frames of another are then not trusted, and nothing is read from them. Raises
    ValueError with a sentence where no template can be made. Takes seconds.
    """
    offset_px = 0.0
    if settings.register_.bidirectional == "auto":
        offset_px = find_scan_offset(frames).px
    template = make_template(
        np.stack(frames), settings.register_, scan_offset_px=offset_px
    )
    found = _with_depth(_found(template, known, settings), settings.register_)
    found = _with_offset(found, frames if read is None else read, settings.traces)
    return replace(found, scan_offset_px=offset_px)


def _found(template: Array, known: Known, settings: Settings) -> Reference:
    if known.image is None:
        return _reference(template, known.rois, settings)
    report = compare_fields(template, known.image, known.rois, settings.field)
    if not report.match.found:
        return stored_reference(known, settings, report)
    return _reference(template, report.moved, settings, report)


def _with_offset(
    reference: Reference, frames: list[Array], settings: TracesSettings
) -> Reference:
    if settings.offset_counts != "auto":
        return replace(reference, offset_counts=settings.offset_counts)
    dark = find_dark(frames)
    if dark is None:
        notice = "the dark level cannot be told from these frames; 0 counts are taken"
    else:
        notice = f"{dark.counts:.0f} counts are read in the dark"
    notices = (*reference.notices, notice)
    return replace(
        reference, offset_counts=dark.counts if dark else 0.0, notices=notices
    )


def _with_depth(reference: Reference, settings: RegisterSettings) -> Reference:
    """Put the reference among the planes of the stack that was taken around it."""
    if settings.z_stack is None:
        return reference
    try:
        planes, step_um = read_stack(Path(settings.z_stack), settings.channel)
        found = find_depth_planes(planes, reference.today)
    except UserError as error:
        notice = f"z drift cannot be told: {error}"
        return replace(reference, notices=(*reference.notices, notice))
    step = settings.z_step_um or step_um or 1.0
    return replace(reference, depth=Depths(found, step))


def stored_reference(
    known: Known, settings: Settings, report: FieldReport | None = None
) -> Reference:
    """Return the image that the neurons were drawn on, as it is."""
    assert known.image is not None
    told = settings.traces.offset_counts
    reference = _reference(known.image, known.rois, settings, report)
    return replace(reference, offset_counts=0.0 if told == "auto" else told)


def _reference(
    template: Array,
    rois: RoiSet,
    settings: Settings,
    report: FieldReport | None = None,
) -> Reference:
    masks = with_rings(rois, settings.traces)
    told = [
        report.sentence if report else None,
        looks_transposed(rois, template) if report is None else None,
        _hidden(masks),
    ]
    today = report.today if report else template
    notices = tuple(word for word in told if word)
    return Reference(template, masks, today, report, notices=notices)


def _hidden(masks: Masks) -> str | None:
    if masks.hidden is None or not masks.hidden.any():
        return None
    return (
        f"{int(masks.hidden.sum())} neurons share all their pixels with others and "
        "keep them; traces.overlap = 'demix' would tell them apart"
    )
