"""Registers the pictures of a film of a dish, if needed to a new reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.config import RegistrationSettings
from rtrecon.core.types import Array
from rtrecon.imaging.registration.fixed_registrar import is_too_small
from rtrecon.imaging.registration.frame_quality import RejectionReason
from rtrecon.imaging.registration.registrar import FrameShift, Registrar
from rtrecon.imaging.registration.template_drift import AdaptiveTemplate

_FOLLOWED_FRAMES = 10.0  # time constant of the template: a culture looks new after days
_LOST = (RejectionReason.OUT_OF_RANGE.value, RejectionReason.UNMATCHED.value)
_MAX_LOST = 2  # pictures one after the other, then the reference is new


@dataclass(frozen=True)
class RegisteredPicture:
    """A picture, float32 (lines, pixels), moved back, and the field that it shows.

    is_valid: bool (lines, pixels), False where the picture was filled. shift: as the
    registrar found it. has_new_reference: the field was lost; this picture is the
    reference from now on.
    """

    image: Array
    is_valid: Array
    shift: FrameShift
    has_new_reference: bool = False


class FilmRegistrar:
    """Registers pictures to the first one; its appearance is followed."""

    def __init__(self, settings: RegistrationSettings | None = None) -> None:
        self._settings = settings or RegistrationSettings(scan_phase="off")
        self._registrar: Registrar | None = None
        self._template: AdaptiveTemplate | None = None
        self._n_lost = 0

    def register(self, image: Array) -> RegisteredPicture:
        """Return a picture, uint16 (lines, pixels), moved back to the reference."""
        if self._registrar is None or self._template is None:
            return self._start(image)
        shift = self._registrar.estimate_shift(image)
        moved = np.empty(image.shape, np.float32)
        self._registrar.undo_shift(image, shift, moved)
        if shift.is_accepted:
            self._n_lost = 0
            if self._template.add_frame(moved, shift):
                self._registrar.replace_template(self._template.pyramid)
        elif shift.rejection_reason in _LOST:
            self._n_lost += 1
            if self._n_lost >= _MAX_LOST:
                return self._start(image, is_first=False)
        return RegisteredPicture(moved, _find_valid(image.shape, shift), shift)

    def _start(self, image: Array, is_first: bool = True) -> RegisteredPicture:
        """Take a picture as the reference; a constant one is none."""
        picture, self._n_lost = image.astype(np.float32), 0
        if image.min() < image.max() and not is_too_small(image.shape):
            self._registrar = Registrar(picture, self._settings)
            self._template = AdaptiveTemplate(picture, 1.0, _FOLLOWED_FRAMES)
        shift = FrameShift(0.0, 0.0, 1.0, True)
        return RegisteredPicture(
            picture, np.ones(image.shape, bool), shift, not is_first
        )


def _find_valid(shape: tuple[int, ...], shift: FrameShift) -> Array:
    """Return where the moved picture shows pixels of the frame, and no filling."""
    rows = np.arange(shape[0])[:, None] + shift.y_px
    cols = np.arange(shape[1]) + shift.x_px
    is_inside = (rows >= 0) & (rows <= shape[0] - 1)
    return np.asarray(is_inside & (cols >= 0) & (cols <= shape[1] - 1))
