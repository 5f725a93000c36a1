"""The reference of a plane: the template, the masks on it, and what else is measured.

It is built once at the start of a session, from its first frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtrecon.config import RegistrationSettings, Settings, TracesSettings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.imaging.field_match.comparison import FieldReport, compare_fields
from rtrecon.imaging.field_match.mask_orientation import check_transposition
from rtrecon.imaging.field_match.match import is_too_small_to_match
from rtrecon.imaging.registration.fixed_registrar import (
    average_frames,
    describe_too_small,
    is_too_small,
)
from rtrecon.imaging.registration.registrar import make_template
from rtrecon.imaging.registration.scan_phase import estimate_scan_offset
from rtrecon.imaging.registration.z_drift import DepthStack, prepare_depth_stack
from rtrecon.imaging.traces.neuropil import CellMasks, make_cell_masks
from rtrecon.imaging.traces.offset_choice import (
    choose_detector_offset,
    describe_neurons_at_offset,
)
from rtrecon.rois.roi_set import RoiSet
from rtrecon.sources.reference_stack import read_stack


@dataclass(frozen=True)
class StoredField:
    """A plane's neurons, and the image on which they were drawn, if there is one.

    stored_image: (lines, pixels) float32, perhaps of another day; None where the masks
    lie on today's image.
    """

    rois: RoiSet
    stored_image: Array | None


@dataclass(frozen=True)
class DepthReference:
    """The planes around the imaged one, and their distance.

    plane_distance: um, or 1 where the distance is unknown.
    """

    stack: DepthStack
    plane_distance: float


@dataclass(frozen=True)
class PlaneReference:
    """The template, (lines, pixels) float32, and the masks on it.

    current_image: today's image, which is the template unless that is of another day.
    field_report: how the neurons were found, where they were drawn on another day's
    image. scan_offset_px: how far odd lines lie to the right. depth_reference: the
    planes around this one, if a stack was given. detector_offset_counts: what the
    detector reads without light. offset_problem: why dF/F may be wrong because of it,
    or "". notices: sentences for the user.
    """

    template: Array
    masks: CellMasks
    current_image: Array
    field_report: FieldReport | None = None
    scan_offset_px: float = 0.0
    depth_reference: DepthReference | None = None
    detector_offset_counts: float = 0.0
    offset_problem: str = ""
    notices: tuple[str, ...] = ()


def build_reference(
    frames: list[Array],
    stored_field: StoredField,
    settings: Settings,
    signal_frames: list[Array] | None = None,
) -> PlaneReference:
    """Make today's template of frames (lines, pixels), and find the neurons in it.

    signal_frames: the same frames in the signal channel, if that is another one.

    Where today's image does not show the stored field, the stored field stays the
    reference: frames of another field are then rejected, and no activity is read from
    them. Raises ValueError where no template can be made. Takes seconds.
    """
    offset_px = 0.0
    if settings.registration.scan_phase == "auto":
        offset_px = estimate_scan_offset(frames).px
    if is_too_small(frames[0].shape):
        template = average_frames(frames, offset_px)
    else:
        template = make_template(
            np.stack(frames), settings.registration, scan_offset_px=offset_px
        )
    reference = _locate_neurons(template, stored_field, settings)
    reference = _add_depth_reference(reference, settings.registration)
    signal_image = reference.template
    if signal_frames is None:
        signal_frames = frames
    elif signal_frames[0] is not frames[0]:
        signal_image = np.asarray(np.mean(signal_frames, axis=0, dtype=np.float32))
    reference = _add_detector_offset(
        reference, signal_frames, signal_image, settings.traces
    )
    return replace(reference, scan_offset_px=offset_px)


def build_stored_reference(
    stored_field: StoredField, settings: Settings
) -> PlaneReference:
    """Return the image on which the neurons were drawn as the reference, unchanged."""
    image = stored_field.stored_image
    assert image is not None
    reference = _make_reference(image, stored_field.rois, settings)
    return _add_detector_offset(reference, [image], image, settings.traces)


def _locate_neurons(
    template: Array, stored_field: StoredField, settings: Settings
) -> PlaneReference:
    stored_image, rois = stored_field.stored_image, stored_field.rois
    if stored_image is None:
        return _make_reference(template, rois, settings)
    if is_too_small_to_match(template.shape):
        reference = _make_reference(stored_image, rois, settings)
        notice = (
            f"the field of {template.shape[0]} x {template.shape[1]} pixels is too "
            "small to be found again; the masks are used where they were drawn"
        )
        return replace(reference, notices=(*reference.notices, notice))
    report = compare_fields(template, stored_image, rois, settings.field_match)
    if not report.match.is_found:
        return _make_reference(stored_image, rois, settings, report)
    return _make_reference(template, report.moved_rois, settings, report)


def _add_detector_offset(
    reference: PlaneReference,
    frames: list[Array],
    signal_image: Array,
    settings: TracesSettings,
) -> PlaneReference:
    """Add the detector offset: that of the settings, or an estimate from frames.

    frames: of the signal channel, or one image of it. signal_image: their mean.
    """
    offset = choose_detector_offset(frames, settings)
    dark = describe_neurons_at_offset(signal_image, reference.masks, offset.counts)
    problems = offset.notices if offset.is_doubtful else ()
    problems += (dark,) if dark else ()
    return replace(
        reference,
        detector_offset_counts=offset.counts,
        offset_problem="; ".join(problems),
        notices=(*reference.notices, *offset.notices, *([dark] if dark else [])),
    )


def _add_depth_reference(
    reference: PlaneReference, settings: RegistrationSettings
) -> PlaneReference:
    """Locate the reference in the stack that was taken around it, if there is one."""
    if settings.z_stack is None:
        return reference
    try:
        planes, step_um = read_stack(Path(settings.z_stack), settings.channel)
        stack = prepare_depth_stack(planes, reference.current_image)
    except UserError as error:
        notice = f"z drift cannot be measured: {error}"
        return replace(reference, notices=(*reference.notices, notice))
    plane_distance = settings.z_step_um or step_um or 1.0
    return replace(reference, depth_reference=DepthReference(stack, plane_distance))


def _make_reference(
    template: Array,
    rois: RoiSet,
    settings: Settings,
    report: FieldReport | None = None,
) -> PlaneReference:
    masks = make_cell_masks(rois, settings.traces)
    notices = [
        describe_too_small(template.shape),
        report.summary if report else None,
        check_transposition(rois, template) if report is None else None,
        _describe_hidden_cells(masks),
    ]
    current_image = report.current_image if report else template
    return PlaneReference(
        template,
        masks,
        current_image,
        report,
        notices=tuple(notice for notice in notices if notice),
    )


def _describe_hidden_cells(masks: CellMasks) -> str | None:
    if masks.is_hidden is None or not masks.is_hidden.any():
        return None
    return (
        f"{int(masks.is_hidden.sum())} neurons share all their pixels with others and "
        "keep them; traces.overlap = 'demix' would separate them"
    )
