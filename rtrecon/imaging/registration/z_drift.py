"""Z drift: how far the imaged plane has moved up or down, from a stack around it.

The mean of a second of registered images is correlated with every plane of the stack.
A Gaussian through the best three gives the depth between the planes, and how much bands
of lines disagree gives its error. Only the planes are band-passed, once: to correlate
an image with band-passed planes is to correlate band-passed images.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, nan, sqrt

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels
from rtrecon.imaging.registration.rigid import RigidSearch, fit_parabola_peak
from rtrecon.imaging.registration.template_pyramid import build_pyramid

MIN_PLANES = 3
_MEAN_S = 1.0
_MIN_HALVED_SIDE_PX = 96  # larger images are halved: finer detail is mostly noise
_BANDS = 16
_MARGIN = 1 / 16  # of each side: images that were moved back are filled there
# Of the halved image: from the template, and from one plane to the next.
_REACH_PX = 16.0
# As in `rigid`: a neuron that flashes must not dominate the image.
_CLIP_PERCENT = (1, 99)
# Required lead of the best plane over the worst, in s.d. of its mean over bands; and
# the largest error, in planes, of a depth that is reported.
_MIN_Z_SCORE, _MAX_ERROR_PLANES = 4.0, 0.5


@dataclass(frozen=True)
class DepthEstimate:
    """How much deeper the image lies than the template did, and one s.d. of that.

    In um, or in planes where their distance is unknown. Positive: deeper in the tissue.
    NaN: unknown, or outside the stack.
    """

    z: float = nan
    error: float = nan


@dataclass(frozen=True)
class DepthStack:
    """The planes of a stack, prepared for comparison with images.

    patterns: (n, bands, pixels of a band) float32, band-passed, zero at the margins,
    each band of norm 1. shape: (lines, pixels) of the compared images. clip_range:
    (lowest, highest) value of nearly all pixels relative to their mean.
    template_position: where the template lies, in planes from the first.
    """

    patterns: Array
    shape: tuple[int, int]
    clip_range: tuple[float, float]
    template_position: float


class DepthTracker:
    """Follows the depth of registered images; takes 0.2 ms for 512 x 512.

    plane_distance: um between planes; 1 gives the depth in planes. depth: the newest
    estimate, renewed about every second.
    """

    def __init__(
        self, stack: DepthStack, rate_hz: float, plane_distance: float = 1.0
    ) -> None:
        self.depth = DepthEstimate()
        self._stack = stack
        self._plane_distance = plane_distance
        self._n_frames = max(1, round(_MEAN_S * rate_hz))
        # Planes are compared a few at a time, while frames of the next mean come in.
        self._planes_per_frame = ceil(len(stack.patterns) / self._n_frames)
        self._halved, self._mean = np.zeros((2, *stack.shape), np.float32)
        self._centered = np.zeros_like(self._mean)
        self._scores = np.zeros(stack.patterns.shape[:2], np.float32)
        self._n_compared = len(self._scores)
        self._count = self._n_used = 0

    def add_image(self, image: Array | None) -> None:
        """Include one registered image, (lines, pixels) float32; None: unusable."""
        self._compare_planes()
        self._count += 1
        if image is not None:
            self._n_used += 1
            halved = _halve(image, self._halved)
            kernels.update_mean(self._mean, halved, 1 / self._n_used)
        if self._count == self._n_frames:
            self._start_comparison()

    def _start_comparison(self) -> None:
        is_enough = 2 * self._n_used >= self._n_frames
        self._count = self._n_used = 0
        clip_range = self._stack.clip_range
        if is_enough and _center_image(self._mean, clip_range, self._centered):
            self._n_compared = 0
        else:
            self.depth = DepthEstimate()

    def _compare_planes(self) -> None:
        """Compare the next planes; after the last one, renew the depth."""
        first, n = self._n_compared, len(self._scores)
        if first == n:
            return
        self._n_compared = min(first + self._planes_per_frame, n)
        planes = slice(first, self._n_compared)
        patterns = self._stack.patterns[planes]
        _correlate_bands(patterns, self._centered, self._scores[planes])
        if self._n_compared == n:
            position, error = _locate_depth(self._scores)
            z = self._plane_distance * (position - self._stack.template_position)
            self.depth = DepthEstimate(z, self._plane_distance * error)


def prepare_depth_stack(planes: Array, template: Array) -> DepthStack:
    """Align planes (n, lines, pixels), from above, to the template of one of them.

    Each plane is aligned to its neighbour, because planes far from the template look
    different. Raises UserError where the template does not lie among them, or lies at
    their end. Takes 0.1 s for planes of 512 x 512.
    """
    _require_planes(planes, template)
    halved = [_halve(np.array(plane, np.float32)) for plane in planes]
    target = _halve(np.array(template, np.float32))
    low, high = np.percentile(target - target.mean(), _CLIP_PERCENT).tolist()
    aligned = _align_patterns(halved, target)
    patterns = np.array([_normalize_bands(pattern) for pattern in aligned])
    centered = np.zeros_like(target)
    _center_image(target, (low, high), centered)
    scores = np.zeros(patterns.shape[:2], np.float32)
    _correlate_bands(patterns, centered, scores)
    position, _ = _locate_depth(scores)
    if np.isnan(position):
        best = int(scores.sum(1).argmax()) + 1
        raise UserError(
            f"the image looks most like plane {best} of the {len(planes)} in the "
            "stack, and its depth cannot be estimated from that; take a stack with the "
            "imaged plane in its middle"
        )
    return DepthStack(patterns, target.shape, (low, high), position)


def _require_planes(planes: Array, template: Array) -> None:
    if len(planes) < MIN_PLANES:
        raise UserError(
            f"the stack holds {len(planes)} planes; z drift needs {MIN_PLANES} "
            "around the imaged one"
        )
    if planes.shape[1:] != template.shape:
        raise UserError(
            f"the planes of the stack are {planes.shape[1:]} lines and pixels, the "
            f"imaged one {template.shape}; take the stack at the same zoom"
        )


def _align_patterns(planes: list[Array], template: Array) -> list[Array]:
    """Return band-passed planes, each aligned to its neighbour nearer to the template.

    Starts with the plane that fits the template best.
    """
    search = RigidSearch(build_pyramid(template), _REACH_PX)
    peaks = [search.find_peak(plane) for plane in planes]
    nearest = int(np.argmax([peak.score * peak.is_found for peak in peaks]))
    patterns: dict[int, Array] = {}
    deeper, higher = range(nearest, len(planes)), range(nearest, -1, -1)
    for order in (deeper, higher):
        fixed, shift = search, (0.0, 0.0)
        for k in order:
            peak = fixed.find_peak(planes[k])
            shift = (peak.y, peak.x) if peak.is_found else shift
            pyramid = build_pyramid(_undo_shift(planes[k], shift))
            fixed = RigidSearch(pyramid, _REACH_PX)
            patterns[k] = fixed.levels[0].pattern
    return [patterns[k] for k in range(len(planes))]


def _undo_shift(plane: Array, yx_px: tuple[float, float]) -> Array:
    moved_back = np.empty_like(plane)
    shifts = np.tile(yx_px, (len(plane), 1))
    kernels.undo_shifts(plane, shifts, np.empty_like(plane[0]), moved_back)
    return moved_back


def _halve(image: Array, out: Array | None = None) -> Array:
    """Return the image at half its size, if it is large enough; in out, if given."""
    lines, pixels = image.shape
    if min(lines, pixels) < _MIN_HALVED_SIDE_PX:
        return image
    half = np.empty((lines // 2, pixels // 2), np.float32) if out is None else out
    kernels.halve_image(image, half)
    return half


def _margins(shape: tuple[int, ...]) -> tuple[int, int]:
    return ceil(_MARGIN * shape[0]), ceil(_MARGIN * shape[1])


def _center_image(image: Array, clip_range: tuple[float, float], out: Array) -> bool:
    """Write the inner part of an image, centred; return whether it has contrast."""
    _, norm = kernels.center_image(image, *clip_range, _margins(image.shape), out)
    return norm > 0


def _normalize_bands(pattern: Array) -> Array:
    """Return the inner part of a pattern as (bands, pixels), each band of norm 1.

    Each band then matches the plane it lies in best, not the plane where it is
    brightest.
    """
    top, left = _margins(pattern.shape)
    inner = np.s_[top:-top, left:-left]
    centered = np.zeros_like(pattern)
    centered[inner] = pattern[inner] - pattern[inner].mean()
    bands = _split_bands(centered)
    norms = np.linalg.norm(bands, axis=1, keepdims=True)
    return np.divide(bands, norms, where=norms > 0, out=np.zeros_like(bands))


def _split_bands(image: Array) -> Array:
    """Return the lines between the margins as (bands, pixels of a band)."""
    top, _ = _margins(image.shape)
    inner = image[top : len(image) - top]
    count = min(_BANDS, len(inner) // 2)
    height = len(inner) // count
    return inner[: count * height].reshape(count, -1)


def _correlate_bands(patterns: Array, centered: Array, out: Array) -> None:
    """Fill out (n, bands) with the correlation of an image with each plane."""
    np.vecdot(patterns, _split_bands(centered), out=out)


def _locate_depth(scores: Array) -> tuple[float, float]:
    """Return where (n, bands) scores peak in the stack, in planes, and one s.d.

    Both NaN where that cannot be estimated.
    """
    total = scores.sum(1)
    best, worst = int(total.argmax()), int(total.argmin())
    lead = scores[best] - scores[worst]
    if best in (0, len(total) - 1) or _z_score(lead) < _MIN_Z_SCORE:
        return nan, nan
    nearby = np.maximum(total[best - 1 : best + 2], 1e-3 * total[best])
    step, error = _fit_gaussian(nearby, scores[best - 1 : best + 2])
    return (best + step, error) if error < _MAX_ERROR_PLANES else (nan, nan)


def _z_score(lead: Array) -> float:
    """Return the mean over bands, in s.d. of that mean."""
    spread = float(lead.std(ddof=1)) / sqrt(len(lead))
    return float(lead.mean()) / spread if spread else 0.0


def _fit_gaussian(total: Array, bands: Array) -> tuple[float, float]:
    """Return where a Gaussian through (3,) totals peaks from the middle, and one s.d.

    Its logarithm is a parabola. bands: (3, bands), the parts of each total; at the peak
    their slopes cancel, and the slope that each has there gives the error.
    """
    logs = np.log(total)
    step, _ = fit_parabola_peak(*logs.tolist())
    parts = bands / total[:, None]
    slopes = (parts[2] - parts[0]) / 2
    slopes += step * (parts[0] - 2 * parts[1] + parts[2])
    bend = float(2 * logs[1] - logs[0] - logs[2])
    return step, float(np.linalg.norm(slopes)) / bend if bend > 0 else nan
