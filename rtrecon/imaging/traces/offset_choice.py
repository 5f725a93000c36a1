"""Chooses the detector offset that is used: of the settings, estimated, or bounded.

No pixel is darker than without light. An offset above the darkest pixels would make
divisors of dF/F negative or tiny, and dF/F a number of counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.config import TracesSettings
from rtrecon.core.types import Array
from rtrecon.imaging.traces.baseline import MIN_BASELINE_COUNTS
from rtrecon.imaging.traces.detector_offset import (
    Brightness,
    estimate_detector_offset,
    measure_brightness,
)
from rtrecon.imaging.traces.extraction import TraceExtractor
from rtrecon.imaging.traces.neuropil import CellMasks

# The darkest pixels may be below the offset by this much: rounding to whole counts.
_TOLERANCE_COUNTS = 1.0


@dataclass(frozen=True)
class OffsetChoice:
    """The detector offset to use, in counts, and sentences for the user about it.

    is_doubtful: whether dF/F is wrong if the detector has another offset.
    """

    counts: float
    notices: tuple[str, ...] = ()
    is_doubtful: bool = False


def choose_detector_offset(
    frames: Array | list[Array], settings: TracesSettings
) -> OffsetChoice:
    """Return the offset of the settings, or one estimated from raw frames.

    frames: (n, lines, pixels) of the signal channel. The offset is never above the
    darkest pixels.
    """
    brightness = measure_brightness(frames)
    if settings.detector_offset_counts == "auto":
        return _estimate_offset(frames, brightness)
    return _check_offset(settings.detector_offset_counts, brightness)


def describe_neurons_at_offset(
    image: Array, masks: CellMasks, offset_counts: float
) -> str | None:
    """Return a sentence if neurons are not brighter than the offset in the image.

    image: (lines, pixels) float32, the mean of registered frames.
    """
    cell, neuropil = np.empty((2, len(masks.cells)), np.float32)
    extractor = TraceExtractor(masks.cells, masks.neuropil)
    extractor.extract_traces(np.ascontiguousarray(image, np.float32), cell, neuropil)
    n_dark = int((cell <= offset_counts + MIN_BASELINE_COUNTS).sum())
    if not n_dark:
        return None
    return (
        f"{n_dark} of {len(cell)} neurons rest at or below the detector offset of "
        f"{offset_counts:.0f} counts; their dF/F is unreliable. Check "
        "traces.detector_offset_counts and the masks"
    )


def _estimate_offset(
    frames: Array | list[Array], brightness: Brightness
) -> OffsetChoice:
    offset = estimate_detector_offset(frames)
    if offset is not None:
        notice = f"the detector offset is {offset.counts:.0f} counts"
        return OffsetChoice(offset.counts, (notice,))
    counts, why = 0.0, "0 counts are used"
    is_replaced = _is_below(brightness, 0.0) or _is_far_above(brightness, 0.0)
    if is_replaced:
        counts = brightness.darkest
        why = (
            f"the darkest pixels are used, {counts:.0f} counts; dF/F is too large if "
            "there is light everywhere in the field"
        )
    notice = f"the detector offset cannot be estimated from these frames; {why}"
    return OffsetChoice(counts, (notice,), is_doubtful=is_replaced)


def _check_offset(counts: float, brightness: Brightness) -> OffsetChoice:
    setting = f"traces.detector_offset_counts = {counts:g}"
    if _is_below(brightness, counts):
        notice = (
            f"{setting} is above the darkest pixels, which read "
            f"{brightness.darkest:.0f} counts; these are used, and dF/F is too large "
            "if there is light everywhere in the field. Set the detector's offset, or "
            "'auto'"
        )
        return OffsetChoice(brightness.darkest, (notice,), is_doubtful=True)
    if _is_far_above(brightness, counts):
        notice = (
            f"{setting}, but the darkest pixels read {brightness.darkest:.0f} counts "
            f"and the brightest just {brightness.contrast:.0f} more; dF/F is too small "
            "if the detector has an offset. Set it, or 'auto'"
        )
        return OffsetChoice(counts, (notice,), is_doubtful=True)
    return OffsetChoice(counts)


def _is_below(brightness: Brightness, counts: float) -> bool:
    """Return whether the darkest pixels are surely darker than the offset."""
    tolerance = _TOLERANCE_COUNTS + brightness.error_counts
    return brightness.darkest < counts - tolerance


def _is_far_above(brightness: Brightness, counts: float) -> bool:
    """Return whether the darkest pixels are more than the contrast above the offset."""
    return brightness.darkest - counts > max(brightness.contrast, _TOLERANCE_COUNTS)
