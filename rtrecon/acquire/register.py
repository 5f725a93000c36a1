"""Rigid motion correction: by how much has the brain moved, and undo it.

A frame is compared with the template on a pyramid of halved images: on the coarsest,
every shift in range; on each finer one, only the climb to the nearest peak; on the
full image, a parabola through the peak. Only the template is filtered, once: to
correlate with a band-passed template is to correlate band-passed images.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, sqrt

import numpy as np

from rtrecon.acquire import kernels
from rtrecon.acquire.pyramid import Level, inverse_norms, levels
from rtrecon.config import RegisterSettings
from rtrecon.wire import Array

SMALLEST_SIDE_PX = 16
# From a peak one level up, one step is common; a climb this long has lost its way.
_MOST_STEPS = 6
# In standard deviations of the correlation with noise; a few hundred shifts are tried.
_CHANCE = 5.0
# From the middle of `kernels.cross_scores` to each of its entries.
_STEPS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
_DTYPES = (np.dtype(np.int16), np.dtype(np.uint16))


@dataclass(frozen=True)
class Shift:
    """The frame shows the template moved by (y, x): frame[r, c] ~ template[r-y, c-x].

    confidence: correlation with the template at the peak, as a share of what the
    template itself would reach: about 1 for a noiseless frame, 0 for a stranger.
    Where trusted is False, y and x repeat the last trusted shift.
    """

    y_px: float
    x_px: float
    confidence: float
    trusted: bool


@dataclass(frozen=True)
class _Peak:
    y: float
    x: float
    score: float
    found: bool


class Registrar:
    """Estimates and undoes the shift of frames against one template.

    template: (lines, pixels) float32, at least 16 x 16. The search covers
    `max_shift_px`, but at most a quarter of the field. One thread at a time.
    """

    def __init__(self, template: Array, settings: RegisterSettings) -> None:
        _require_template(template)
        self.shape = (int(template.shape[0]), int(template.shape[1]))
        self._settings = settings
        template = np.ascontiguousarray(template, np.float32)
        self._levels = levels(template)
        self._own_score = _correlation(template, self._levels[0].pattern)
        by_chance = _CHANCE / (sqrt(template.size) * self._own_score)
        self._least_confidence = max(settings.min_confidence, by_chance)
        self._prepare_search(self._levels[-1])
        self._scores = np.empty(5)
        self._line = np.empty(self.shape[1] + 1, np.float32)
        self._last = (0.0, 0.0)

    def estimate(self, frame: Array) -> Shift:
        """Return the shift of one frame; ValueError where the frame cannot be one."""
        frame = as_frame(frame, self.shape)
        peak = self._find(frame)
        confidence = float(np.clip(peak.score / self._own_score, -1.0, 1.0))
        trusted = (
            peak.found
            and confidence >= self._least_confidence
            and max(abs(peak.y), abs(peak.x)) <= self._settings.max_shift_px
        )
        if trusted:
            self._last = (peak.y, peak.x)
        return Shift(*self._last, confidence, trusted)

    def apply(self, frame: Array, shift: Shift, out: Array) -> None:
        """Write the frame, moved back, to out: (lines, pixels) float32.

        Bilinear; a pixel that comes from outside the frame takes the nearest one.
        """
        kernels.undo_shift(
            as_frame(frame, self.shape), shift.y_px, shift.x_px, self._line, out
        )

    def state(self) -> dict[str, Array]:
        """Return what is remembered between frames."""
        return {"last_yx_px": np.array(self._last)}

    def restore(self, state: dict[str, Array]) -> None:
        """Go on from a state."""
        y_px, x_px = state["last_yx_px"].tolist()
        self._last = (y_px, x_px)

    def _prepare_search(self, level: Level) -> None:
        factor = 2 ** (len(self._levels) - 1)
        reach = ceil(self._settings.max_shift_px / factor) + 1
        ry, rx = (min(reach, side // 4) for side in level.pattern.shape)
        self._scales = inverse_norms(level, ry, rx)
        self._correlations = np.empty_like(self._scales)
        self._centred = np.zeros_like(level.pattern)

    def _find(self, frame: Array) -> _Peak:
        images = [frame, *(level.image for level in self._levels[1:])]
        for finer, coarser in pairwise(images):
            kernels.halve(finer, coarser)
        (y, x), mean, inside = self._search(images[-1])
        peak = _Peak(y, x, 0.0, inside)
        for image, level in zip(images[::-1], self._levels[::-1], strict=True):
            if not peak.found:
                break
            doubling = 1 if level is self._levels[-1] else 2
            start = round(doubling * peak.y), round(doubling * peak.x)
            peak = self._climb(image, mean, level, start)
        return peak

    def _search(self, image: Array) -> tuple[tuple[int, int], float, bool]:
        """Best whole shift on the coarsest level, its mean, and whether it counts.

        It does not for a constant image, nor for a peak on the border of the range.
        """
        level, found = self._levels[-1], self._correlations
        margins = found.shape[0] // 2, found.shape[1] // 2
        mean, norm = kernels.centre(image, *level.range, margins, self._centred)
        kernels.search(self._centred, level.pattern, self._scales, found)
        row, col = divmod(int(found.argmax()), found.shape[1])
        inside = 0 < row < found.shape[0] - 1 and 0 < col < found.shape[1] - 1
        best = row - margins[0], col - margins[1]
        return best, mean, inside and norm > 0

    def _climb(
        self, image: Array, mean: float, level: Level, start: tuple[int, int]
    ) -> _Peak:
        (y, x), left = start, None
        scores = self._scores
        for _ in range(_MOST_STEPS):
            kernels.cross_scores(
                image, mean, level.pattern, level.sums, level.squares, y, x, scores
            )
            dy, dx = _STEPS[int(scores.argmax())]
            # Each place has its own window; two neighbours may each prefer the other.
            if (dy, dx) == (0, 0) or (y + dy, x + dx) == left:
                return _refined(y, x, scores.tolist())
            left = (y, x)
            y, x = y + dy, x + dx
        return _Peak(y, x, float(scores[0]), found=False)


def make_template(frames: Array, settings: RegisterSettings | None = None) -> Array:
    """Return a (lines, pixels) float32 template from (n, lines, pixels) frames.

    The mean of the frames that look most alike, then, repeatedly, of the half that
    fits it best, each moved back first. Frames without any contrast are left out.
    """
    usable = [frame for frame in frames if frame.min() < frame.max()]
    if not usable:
        raise ValueError(
            f"cannot make a template: all {len(frames)} frames are constant; is the "
            "shutter open and the detector on?"
        )
    template = _alike(usable)
    for _ in range(4):
        template = _mean_of_fitting(usable, template, settings or RegisterSettings())
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


def _correlation(one: Array, other: Array) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def _refined(y: int, x: int, scores: list[float]) -> _Peak:
    """Parabolas through the peak and its neighbours, along y and along x."""
    centre, up, down, left, right = scores
    dy, rise_y = _vertex(up, centre, down)
    dx, rise_x = _vertex(left, centre, right)
    return _Peak(y + dy, x + dx, centre + rise_y + rise_x, found=True)


def _vertex(before: float, centre: float, after: float) -> tuple[float, float]:
    """Where a parabola through -1, 0, 1 peaks, and how far above the middle."""
    bend = before - 2 * centre + after
    if bend >= 0:
        return 0.0, 0.0
    at = 0.5 * (before - after) / bend
    return at, -0.25 * (before - after) * at


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


def _mean_of_fitting(
    frames: list[Array], template: Array, settings: RegisterSettings
) -> Array:
    registrar = Registrar(template, settings)
    shifts = [registrar.estimate(frame) for frame in frames]
    order = sorted(range(len(frames)), key=lambda k: -shifts[k].confidence)
    kept = order[: ceil(len(frames) / 2)]
    # The typical frame of those kept becomes the origin: the template must not
    # inherit the place where a single frame happened to be.
    y0, x0 = np.median([(shifts[k].y_px, shifts[k].x_px) for k in kept], axis=0)
    total, moved = np.zeros(template.shape), np.empty(template.shape, np.float32)
    for k in kept:
        back = Shift(shifts[k].y_px - y0, shifts[k].x_px - x0, 1.0, True)
        registrar.apply(frames[k], back, moved)
        total += moved
    return np.asarray(total / len(kept), np.float32)
