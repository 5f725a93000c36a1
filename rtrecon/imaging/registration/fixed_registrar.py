"""Registration of fields that are too small for it: frames stay where they are."""

from __future__ import annotations

import numpy as np

from rtrecon.config import RegistrationSettings
from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.registration.registrar import (
    MIN_SIDE_PX,
    FrameShift,
    Registrar,
    prepare_frame,
    select_usable_frames,
)


class FixedRegistrar:
    """Takes the place of a `Registrar`; every shift is zero.

    shape: (lines, pixels). scan_offset_px: how far odd lines lie to the right of even
    ones. Constant frames are rejected.
    """

    def __init__(self, shape: tuple[int, ...], *, scan_offset_px: float = 0.0) -> None:
        self.shape = (shape[0], shape[1])
        self.scan_offset_px = scan_offset_px

    def estimate_shift(self, frame: Array) -> FrameShift:
        """Return no shift; ValueError for a frame of another type or shape."""
        readable = prepare_frame(frame, self.shape)
        if readable.min() == readable.max():
            return self.reject_frame(RejectionReason.CONSTANT)
        return FrameShift(0.0, 0.0, 1.0, True)

    def reject_frame(self, reason: RejectionReason) -> FrameShift:
        """Return no shift, with the reason."""
        return FrameShift(0.0, 0.0, 0.0, False, reason.value)

    def undo_shift(self, frame: Array, _shift: FrameShift, out: Array) -> None:
        """Write the frame to out, (lines, pixels) float32, with its scan phase."""
        readable = prepare_frame(frame, self.shape)
        kernels.correct_scan_phase(readable, self.scan_offset_px, out)

    def get_state(self) -> dict[str, Array]:
        """Return nothing: nothing is remembered."""
        return {}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Do nothing: nothing is remembered."""


def is_too_small(shape: tuple[int, ...]) -> bool:
    """Return whether motion cannot be estimated in a field of (lines, pixels)."""
    return min(shape) < MIN_SIDE_PX


def describe_too_small(shape: tuple[int, ...]) -> str | None:
    """Return a sentence for the user if a field of (lines, pixels) is too small."""
    if not is_too_small(shape):
        return None
    return (
        f"motion is not corrected: the field has {shape[0]} x {shape[1]} pixels, and "
        f"registration needs {MIN_SIDE_PX} lines and pixels"
    )


def make_registrar(
    template: Array, settings: RegistrationSettings, *, scan_offset_px: float = 0.0
) -> Registrar | FixedRegistrar:
    """Return the registration to a template, (lines, pixels) float32, of any size."""
    if is_too_small(template.shape):
        return FixedRegistrar(template.shape, scan_offset_px=scan_offset_px)
    return Registrar(template, settings, scan_offset_px=scan_offset_px)


def average_frames(frames: list[Array], scan_offset_px: float = 0.0) -> Array:
    """Return the mean of frames (lines, pixels) as a template, (lines, pixels) float32.

    Constant frames are left out. Raises ValueError where all are constant.
    """
    usable = select_usable_frames(frames)
    mean = np.asarray(np.mean(usable, axis=0, dtype=np.float32))
    template = np.empty_like(mean)
    kernels.correct_scan_phase(mean, scan_offset_px, template)
    return template
