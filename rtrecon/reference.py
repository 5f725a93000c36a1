"""What a plane's frames are registered to, and where its neurons lie in it today."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.acquire.field_report import FieldReport, compare_fields
from rtrecon.acquire.neuropil import Masks, with_rings
from rtrecon.acquire.orientation import looks_transposed
from rtrecon.acquire.register import make_template
from rtrecon.config import Settings
from rtrecon.rois import RoiSet
from rtrecon.wire import Array


@dataclass(frozen=True)
class Known:
    """A plane's neurons, and the image they were drawn on, if there is one.

    image: (lines, pixels) float32, of another day perhaps; None: masks lie on today's.
    """

    rois: RoiSet
    image: Array | None


@dataclass(frozen=True)
class Reference:
    """The template, (lines, pixels) float32, and the masks on it.

    today: what was seen today, which is the template unless that is of another day.
    report: how the neurons were found, where they were drawn on another day's image.
    notices: sentences on what somebody should know.
    """

    template: Array
    masks: Masks
    today: Array
    report: FieldReport | None = None
    notices: tuple[str, ...] = ()


def find_reference(frames: list[Array], known: Known, settings: Settings) -> Reference:
    """Make today's template of frames (lines, pixels), and find the neurons in it.

    Where the field they were drawn on is not in it, that field stays the reference:
    frames of another are then not trusted, and nothing is read from them. Raises
    ValueError with a sentence where no template can be made. Takes seconds.
    """
    template = make_template(np.stack(frames), settings.register_)
    if known.image is None:
        return _reference(template, known.rois, settings)
    report = compare_fields(template, known.image, known.rois, settings.field)
    if not report.match.found:
        return stored_reference(known, settings, report)
    return _reference(template, report.moved, settings, report)


def stored_reference(
    known: Known, settings: Settings, report: FieldReport | None = None
) -> Reference:
    """Return the image that the neurons were drawn on, as it is."""
    assert known.image is not None
    return _reference(known.image, known.rois, settings, report)


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
    return Reference(template, masks, today, report, notices)


def _hidden(masks: Masks) -> str | None:
    if masks.hidden is None or not masks.hidden.any():
        return None
    return (
        f"{int(masks.hidden.sum())} neurons share all their pixels with others and "
        "keep them; traces.overlap = 'demix' would tell them apart"
    )
