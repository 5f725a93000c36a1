"""Motion correction: by how much has the brain moved, and undo it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

import numpy as np

from rtrecon.config import RegisterSettings
from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels as kernels
from rtrecon.imaging.registration.frame_quality import RejectionReason, Trust
from rtrecon.imaging.registration.nonrigid import StripSearch, line_shifts
from rtrecon.imaging.registration.rigid import RigidSearch
from rtrecon.imaging.registration.template_pyramid import Level, levels

SMALLEST_SIDE_PX = 16
_DTYPES = (np.dtype(np.int16), np.dtype(np.uint16))


@dataclass(frozen=True)
class Shift:
    """The frame shows the template moved by (y, x): frame[r, c] ~ template[r-y, c-x].

    confidence: correlation with the template at the peak, as a share of what the
    template itself would reach: about 1 for a noiseless frame, 0 for a stranger.
    Where trusted is False, reason says why, in a few words, and y and x repeat the last
    trusted shift. rows_px: (strips, 2), the shift (y, x) at each of
    `Registrar.strip_rows`, where motion is told by rows; None where it is rigid.
    """

    y_px: float
    x_px: float
    confidence: float
    trusted: bool
    reason: str = ""
    rows_px: Array | None = field(default=None, compare=False)


class Registrar:
    """Estimates and undoes the motion of frames against one template.

    template: (lines, pixels) float32, at least 16 x 16. scan_offset_px: by how much odd
    lines lie further right than even ones (`bidirectional.find_scan_offset`). The
    search covers `max_shift_px`, but at most a quarter of the field. One thread at a
    time.
    """

    def __init__(
        self,
        template: Array,
        settings: RegisterSettings,
        *,
        scan_offset_px: float = 0.0,
    ) -> None:
        _require_template(template)
        self.shape = (int(template.shape[0]), int(template.shape[1]))
        self._settings = settings
        self._scan_offset_px = scan_offset_px
        self._last = (0.0, 0.0)
        self._straight = np.empty(self.shape, np.float32)
        self._straight_of: Array | None = None  # which frame that was
        self._line = np.empty(self.shape[1], np.float32)
        self._line_shifts = np.empty((self.shape[0], 2))
        self._search = self._search_in(levels(np.array(template, np.float32)))
        self._strips = StripSearch(self._search) if settings.nonrigid else None
        self._trust = Trust(self._search, settings)

    @property
    def strip_rows(self) -> Array:
        """(strips,) lines at which `Shift.rows_px` holds; none where it is rigid."""
        return self._strips.rows if self._strips else np.empty(0)

    def follow(self, scales: list[Level]) -> None:
        """Register to another template from now on, given as its scales."""
        self._search = self._search_in(scales)
        self._strips = StripSearch(self._search) if self._strips else None
        self._trust.follow(self._search)

    def estimate(self, frame: Array) -> Shift:
        """Return the shift of one frame; ValueError where the frame cannot be one."""
        self._straight_of = None  # a buffer that is used again holds another frame
        peak = self._search.find(self._straightened(frame))
        score, rows = peak.score, None
        if self._strips and peak.found:
            rows = self._strips.find(peak)
            score = self._strips.score
        confidence = float(np.clip(score / self._search.own_score, -1.0, 1.0))
        doubt = self._trust.judge(as_frame(frame, self.shape), peak, confidence)
        if doubt:
            return self._doubted(confidence, doubt)
        self._last = (peak.y, peak.x)
        self._trust.believe(confidence)
        return Shift(peak.y, peak.x, confidence, True, rows_px=rows)

    def apply(self, frame: Array, shift: Shift, out: Array) -> None:
        """Write the frame, moved back, to out: (lines, pixels) float32.

        Bilinear; a pixel that comes from outside the frame takes the nearest one.
        """
        frame = self._straightened(frame)
        if shift.rows_px is None:
            self._line_shifts[:] = shift.y_px, shift.x_px
        else:
            line_shifts(self.strip_rows, shift.rows_px, self._line_shifts)
        kernels.undo_shifts(frame, self._line_shifts, self._line, out)

    def state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        return {"last_yx_px": np.array(self._last), **self._trust.state()}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state."""
        y_px, x_px = state["last_yx_px"].tolist()
        self._last = (y_px, x_px)
        self._trust.restore(state)

    def _search_in(self, scales: list[Level]) -> RigidSearch:
        return RigidSearch(scales, self._settings.max_shift_px)

    def _straightened(self, frame: Array) -> Array:
        """Return the frame with its odd lines where they belong; overwritten.

        Once for a frame that is estimated and then applied.
        """
        readable = as_frame(frame, self.shape)
        if not self._scan_offset_px:
            return readable
        if self._straight_of is not frame:
            kernels.straighten(readable, self._scan_offset_px, self._straight)
            self._straight_of = frame
        return self._straight

    def _doubted(self, confidence: float, doubt: RejectionReason) -> Shift:
        strips = self._strips
        rows = np.tile(self._last, (len(strips.rows), 1)) if strips else None
        return Shift(*self._last, confidence, False, doubt.value, rows)


def make_template(
    frames: Array,
    settings: RegisterSettings | None = None,
    *,
    scan_offset_px: float = 0.0,
) -> Array:
    """Return a (lines, pixels) float32 template from (n, lines, pixels) frames.

    The mean of the frames that look most alike, then, repeatedly, of the half that
    fits it best, each moved back first. Frames without any contrast are left out.
    scan_offset_px: of the frames; the template has none.
    """
    usable = [frame for frame in frames if frame.min() < frame.max()]
    if not usable:
        raise ValueError(
            f"cannot make a template: all {len(frames)} frames are constant; is the "
            "shutter open and the detector on?"
        )
    template = np.empty(usable[0].shape, np.float32)
    kernels.straighten(_alike(usable), scan_offset_px, template)
    for _ in range(4):
        registrar = Registrar(
            template, settings or RegisterSettings(), scan_offset_px=scan_offset_px
        )
        template = _mean_of_fitting(usable, registrar)
    return template


def as_frame(frame: Array, shape: tuple[int, int]) -> Array:
    """Return the frame as the kernels take it: contiguous, aligned, read-only.

    Always read-only, as frames from the wire are: for a kernel, a writable array is
    another type, and to compile for it would cost a live session seconds.
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
    if template.ndim != 2 or min(template.shape) < SMALLEST_SIDE_PX:
        raise ValueError(
            f"cannot register against a template of shape {template.shape}: motion "
            f"can be told from at least {SMALLEST_SIDE_PX} lines and pixels"
        )
    if not np.isfinite(template).all() or template.min() == template.max():
        raise ValueError(
            "cannot register against this template: it is constant or not finite"
        )


def _alike(frames: list[Array]) -> Array:
    """Mean of the frame that resembles the others most, and of its 20 nearest."""
    few = frames[:: ceil(len(frames) / 300)]
    factor = max(1, min(few[0].shape) // 64)
    small = np.array([frame[::factor, ::factor].ravel() for frame in few], np.float32)
    small -= small.mean(1, keepdims=True)
    small /= np.linalg.norm(small, axis=1, keepdims=True) + np.float32(1e-9)
    likeness = small @ small.T
    nearest = np.argsort(-likeness, axis=1)[:, :20]
    best = np.take_along_axis(likeness, nearest, 1).mean(1).argmax()
    alike = np.array([few[k] for k in nearest[best]])
    return np.asarray(alike.mean(0), np.float32)


def _mean_of_fitting(frames: list[Array], registrar: Registrar) -> Array:
    shifts = [registrar.estimate(frame) for frame in frames]
    order = sorted(range(len(frames)), key=lambda k: -shifts[k].confidence)
    kept = order[: ceil(len(frames) / 2)]
    # The typical frame of those kept becomes the origin: the template must not
    # inherit the place where a single frame happened to be.
    origin = np.median([(shifts[k].y_px, shifts[k].x_px) for k in kept], axis=0)
    total, moved = np.zeros((2, *registrar.shape), np.float32)
    for count, k in enumerate(kept, start=1):
        registrar.apply(frames[k], _moved_by(shifts[k], -origin), moved)
        kernels.blend(total, moved, 1 / count)
    return total


def _moved_by(shift: Shift, yx_px: Array) -> Shift:
    rows = None if shift.rows_px is None else shift.rows_px + yx_px
    y_px, x_px = shift.y_px + yx_px[0], shift.x_px + yx_px[1]
    return Shift(float(y_px), float(x_px), shift.confidence, True, rows_px=rows)
