"""Motion correction: estimate how far the brain has moved, and move frames back."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

import numpy as np

from rtrecon.config import RegistrationSettings
from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels
from rtrecon.imaging.registration.frame_quality import FrameQuality, RejectionReason
from rtrecon.imaging.registration.nonrigid import StripSearch, interpolate_line_shifts
from rtrecon.imaging.registration.rigid import RigidSearch
from rtrecon.imaging.registration.template_pyramid import PyramidLevel, build_pyramid

MIN_SIDE_PX = 16
_DTYPES = (np.dtype(np.int16), np.dtype(np.uint16))
# Making a template: rounds of registering and averaging; frames compared with each
# other for the first one, their side at that, and frames averaged to it.
_TEMPLATE_ROUNDS = 4
_MAX_COMPARED_FRAMES, _COMPARED_SIDE_PX, _N_SIMILAR = 300, 64, 20


@dataclass(frozen=True)
class FrameShift:
    """The frame shows the template moved by (y, x): frame[r, c] ~ template[r-y, c-x].

    confidence: correlation with the template at the peak, relative to that of the
    template with itself: about 1 for a noiseless frame, 0 for an unrelated one. Where
    is_accepted is False, rejection_reason gives the reason in a few words, and y and x
    repeat the last accepted shift. strip_shifts_px: (strips, 2), the shift (y, x) at
    each of `Registrar.strip_rows`; None where registration is rigid.
    """

    y_px: float
    x_px: float
    confidence: float
    is_accepted: bool
    rejection_reason: str = ""
    strip_shifts_px: Array | None = field(default=None, compare=False)


class Registrar:
    """Estimates and undoes the motion of frames relative to one template.

    template: (lines, pixels) float32, at least 16 x 16. scan_offset_px: how far odd
    lines lie to the right of even ones (`scan_phase.estimate_scan_offset`). The search
    covers `max_shift_px`, but at most a quarter of the field. Not thread-safe.
    """

    def __init__(
        self,
        template: Array,
        settings: RegistrationSettings,
        *,
        scan_offset_px: float = 0.0,
    ) -> None:
        _require_template(template)
        self.shape = (int(template.shape[0]), int(template.shape[1]))
        self._settings = settings
        self.scan_offset_px = scan_offset_px
        self._last_shift = (0.0, 0.0)
        self._corrected = np.empty(self.shape, np.float32)
        self._corrected_source: Array | None = None  # the frame it was made from
        self._line = np.empty(self.shape[1], np.float32)
        self._line_shifts = np.empty((self.shape[0], 2))
        self._search = self._make_search(build_pyramid(np.array(template, np.float32)))
        self._strips = StripSearch(self._search) if settings.nonrigid else None
        self._quality = FrameQuality(self._search, settings)

    @property
    def strip_rows(self) -> Array:
        """(strips,) lines of `FrameShift.strip_shifts_px`; empty where it is rigid."""
        return self._strips.strip_rows if self._strips else np.empty(0)

    def replace_template(self, pyramid: list[PyramidLevel]) -> None:
        """Register to another template from now on, given as its pyramid."""
        self._search = self._make_search(pyramid)
        self._strips = StripSearch(self._search) if self._strips else None
        self._quality.replace_template(self._search)

    def estimate_shift(self, frame: Array) -> FrameShift:
        """Return the shift of one (lines, pixels) int16 or uint16 frame.

        Raises ValueError for another type or shape.
        """
        self._corrected_source = None  # a reused buffer holds another frame now
        peak = self._search.find_peak(self._correct_scan_phase(frame))
        score, strip_shifts = peak.score, None
        if self._strips and peak.is_found:
            strip_shifts = self._strips.find_shifts(peak)
            score = self._strips.score
        confidence = float(np.clip(score / self._search.template_score, -1.0, 1.0))
        reason = self._quality.find_rejection_reason(
            prepare_frame(frame, self.shape), peak, confidence
        )
        if reason:
            return self.reject_frame(reason, confidence)
        self._last_shift = (peak.y, peak.x)
        self._quality.update_baseline(confidence)
        return FrameShift(
            peak.y, peak.x, confidence, True, strip_shifts_px=strip_shifts
        )

    def undo_shift(self, frame: Array, shift: FrameShift, out: Array) -> None:
        """Write the frame, moved back, to out: (lines, pixels) float32.

        Bilinear; a pixel from outside the frame takes the nearest edge pixel.
        """
        frame = self._correct_scan_phase(frame)
        strip_shifts = shift.strip_shifts_px
        if strip_shifts is None:
            self._line_shifts[:] = shift.y_px, shift.x_px
        else:
            interpolate_line_shifts(self.strip_rows, strip_shifts, self._line_shifts)
        kernels.undo_shifts(frame, self._line_shifts, self._line, out)

    def reject_frame(
        self, reason: RejectionReason, confidence: float = 0.0
    ) -> FrameShift:
        """Return the last accepted shift, for every strip, with the reason."""
        last, strips = self._last_shift, self._strips
        strip_shifts = np.tile(last, (len(strips.strip_rows), 1)) if strips else None
        return FrameShift(*last, confidence, False, reason.value, strip_shifts)

    def get_state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        return {"last_yx_px": np.array(self._last_shift), **self._quality.get_state()}

    def restore_state(self, state: dict[str, Array]) -> None:
        """Continue from a state."""
        y_px, x_px = state["last_yx_px"].tolist()
        self._last_shift = (y_px, x_px)
        self._quality.restore_state(state)

    def _make_search(self, pyramid: list[PyramidLevel]) -> RigidSearch:
        return RigidSearch(pyramid, self._settings.max_shift_px)

    def _correct_scan_phase(self, frame: Array) -> Array:
        """Return the frame with its odd lines moved into place; overwritten.

        Computed once for a frame that is first estimated and then moved back.
        """
        readable = prepare_frame(frame, self.shape)
        if not self.scan_offset_px:
            return readable
        if self._corrected_source is not frame:
            kernels.correct_scan_phase(readable, self.scan_offset_px, self._corrected)
            self._corrected_source = frame
        return self._corrected


def make_template(
    frames: Array,
    settings: RegistrationSettings | None = None,
    *,
    scan_offset_px: float = 0.0,
) -> Array:
    """Return a (lines, pixels) float32 template from (n, lines, pixels) frames.

    Starts from the mean of the most similar frames. Then, repeatedly, all frames are
    registered, and the half that fits best is moved back and averaged. Frames without
    any contrast are left out. scan_offset_px: of the frames; the template has none.
    Raises ValueError where all frames are constant.
    """
    usable = select_usable_frames(frames)
    template = np.empty(usable[0].shape, np.float32)
    kernels.correct_scan_phase(
        _average_similar_frames(usable), scan_offset_px, template
    )
    for _ in range(_TEMPLATE_ROUNDS):
        registrar = Registrar(
            template, settings or RegistrationSettings(), scan_offset_px=scan_offset_px
        )
        template = _average_best_fits(usable, registrar)
    return template


def select_usable_frames(frames: Array | list[Array]) -> list[Array]:
    """Return the frames that have contrast; ValueError where none has."""
    usable = [frame for frame in frames if frame.min() < frame.max()]
    if not usable:
        raise ValueError(
            f"cannot make a template: all {len(frames)} frames are constant; is the "
            "shutter open and the detector on?"
        )
    return usable


def prepare_frame(frame: Array, shape: tuple[int, int]) -> Array:
    """Return the frame as the kernels need it: contiguous, aligned, read-only.

    Always read-only, like frames received from the network: to a kernel, a writable
    array is another type, and compiling for it would cost a live session seconds.
    Raises ValueError for another type or shape.
    """
    if frame.dtype not in _DTYPES:
        raise ValueError(f"frames must be int16 or uint16, not {frame.dtype}")
    if frame.shape != shape:
        raise ValueError(
            f"this frame has shape {frame.shape}, but the template has {shape}; was "
            "the field of view changed? Take a new reference."
        )
    readable = np.require(frame, requirements=["C", "A"]).view()
    readable.flags.writeable = False
    return readable


def _require_template(template: Array) -> None:
    if template.ndim != 2 or min(template.shape) < MIN_SIDE_PX:
        raise ValueError(
            f"cannot register to a template of shape {template.shape}: motion can be "
            f"estimated from at least {MIN_SIDE_PX} lines and pixels"
        )
    if not np.isfinite(template).all() or template.min() == template.max():
        raise ValueError(
            "cannot register to this template: it is constant or not finite"
        )


def _average_similar_frames(frames: list[Array]) -> Array:
    """Return the mean of the 20 frames nearest to the one with the nearest others."""
    some = frames[:: ceil(len(frames) / _MAX_COMPARED_FRAMES)]
    factor = max(1, min(some[0].shape) // _COMPARED_SIDE_PX)
    small = np.array([frame[::factor, ::factor].ravel() for frame in some], np.float32)
    small -= small.mean(1, keepdims=True)
    small /= np.linalg.norm(small, axis=1, keepdims=True) + np.float32(1e-9)
    similarity = small @ small.T
    nearest = np.argsort(-similarity, axis=1)[:, :_N_SIMILAR]
    best = np.take_along_axis(similarity, nearest, 1).mean(1).argmax()
    similar = np.array([some[k] for k in nearest[best]])
    return np.asarray(similar.mean(0), np.float32)


def _average_best_fits(frames: list[Array], registrar: Registrar) -> Array:
    """Return the mean of the half of the frames that fits best, each moved back."""
    shifts = [registrar.estimate_shift(frame) for frame in frames]
    order = sorted(range(len(frames)), key=lambda k: -shifts[k].confidence)
    selected = order[: ceil(len(frames) / 2)]
    # The typical shift of these frames becomes the origin: the template must not
    # inherit the position that a single frame happened to have.
    origin = np.median([(shifts[k].y_px, shifts[k].x_px) for k in selected], axis=0)
    mean, moved_back = np.zeros((2, *registrar.shape), np.float32)
    for count, k in enumerate(selected, start=1):
        registrar.undo_shift(frames[k], _add_offset(shifts[k], -origin), moved_back)
        kernels.update_mean(mean, moved_back, 1 / count)
    return mean


def _add_offset(shift: FrameShift, yx_px: Array) -> FrameShift:
    strip_shifts = shift.strip_shifts_px
    moved = None if strip_shifts is None else strip_shifts + yx_px
    y_px, x_px = shift.y_px + yx_px[0], shift.x_px + yx_px[1]
    return FrameShift(
        float(y_px), float(x_px), shift.confidence, True, strip_shifts_px=moved
    )
