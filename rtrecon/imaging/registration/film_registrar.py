"""Registers the pictures of a film, and makes a new reference where it is lost."""

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
        self._first: Array = np.zeros((0, 0), np.float32)
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

    def renew_reference(self) -> None:
        """Take the next picture as the reference."""
        self._registrar = self._template = None

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between pictures; empty before a reference."""
        if self._registrar is None or self._template is None:
            return {}
        of_registrar = self._registrar.get_state().items()
        of_template = self._template.get_state().items()
        return {
            **{f"registrar.{key}": values for key, values in of_registrar},
            **{f"template.{key}": values for key, values in of_template},
            "first": self._first,
            "n_lost": np.array(self._n_lost),
        }

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state."""
        if "first" not in state:
            return
        self._use_reference(state["first"])
        self._n_lost = int(state["n_lost"])
        assert self._registrar is not None
        assert self._template is not None
        self._registrar.restore_state(_select(state, "registrar."))
        self._template.restore_state(_select(state, "template."))
        self._registrar.replace_template(self._template.pyramid)

    def _start(self, image: Array, is_first: bool = True) -> RegisteredPicture:
        """Take a picture as the reference; a constant one is none."""
        picture, self._n_lost = image.astype(np.float32), 0
        if image.min() < image.max() and not is_too_small(image.shape):
            self._use_reference(picture)
        shift = FrameShift(0.0, 0.0, 1.0, True)
        is_valid = np.ones(image.shape, bool)
        return RegisteredPicture(picture, is_valid, shift, not is_first)

    def _use_reference(self, picture: Array) -> None:
        self._first = picture
        self._registrar = Registrar(picture, self._settings)
        self._template = AdaptiveTemplate(picture, 1.0, _FOLLOWED_FRAMES)


def _select(state: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {
        key.removeprefix(prefix): values
        for key, values in state.items()
        if key.startswith(prefix)
    }


def _find_valid(shape: tuple[int, ...], shift: FrameShift) -> Array:
    """Return where the moved picture shows pixels of the frame, and no filling."""
    rows = np.arange(shape[0])[:, None] + shift.y_px
    cols = np.arange(shape[1]) + shift.x_px
    is_inside = (rows >= 0) & (rows <= shape[0] - 1)
    return np.asarray(is_inside & (cols >= 0) & (cols <= shape[1] - 1))
