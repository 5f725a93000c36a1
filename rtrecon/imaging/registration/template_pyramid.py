"""The template at several scales, prepared for correlation with frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from rtrecon.core.types import Array
from rtrecon.imaging.registration import kernels

# The search needs an image on which single neurons can still be distinguished.
_MIN_COARSEST_SIDE_PX = 48
# In pixels of each scale: finer detail is mostly photon noise, broader structure is
# mostly uneven illumination. Whole cell bodies are narrower than that and count: in dim
# frames their light carries most of what can be known of the shift.
_FINE_SIGMA_PX, _BROAD_SIGMA_PX = 1.25, 8.0
_FILTER_REACH_PX = 32  # four times the broader sigma; pixels further away do not count
_LINES_PER_STEP = 16


@dataclass(frozen=True)
class PyramidLevel:
    """The template at one scale, and space for the frame reduced to that scale.

    template, image: (lines, pixels) float32. pattern: the band-passed template, float32
    of the same shape. sums, squares: float64 integral images of the pattern and of its
    square, (lines + 1, pixels + 1).
    """

    template: Array
    pattern: Array
    sums: Array
    squares: Array
    image: Array


class PyramidBuilder:
    """Builds the pyramid of a template in steps of about a millisecond.

    So a new template can be prepared between frames that must not wait. Call `advance`
    until `is_done`; then `levels` holds the pyramid, finest level first. The template,
    (lines, pixels) float32, must not change meanwhile.
    """

    def __init__(self, template: Array) -> None:
        self.levels: list[PyramidLevel] = []
        self._next_line = 0
        self._start_level(template)

    @property
    def is_done(self) -> bool:
        """Whether all levels are complete."""
        level = self.levels[-1]
        is_level_done = self._next_line >= len(level.template)
        return is_level_done and not _has_coarser_level(level.template)

    def advance(self) -> None:
        """Filter the next few lines, starting the next coarser level if one is due."""
        level = self.levels[-1]
        if self._next_line >= len(level.template):
            self._start_level(_halve(level.template))
            level = self.levels[-1]
        first = self._next_line
        self._next_line = min(first + _LINES_PER_STEP, len(level.template))
        lines = slice(first, self._next_line)
        level.pattern[lines] = _band_pass_lines(level.template, lines)
        _extend_integral_image(level.pattern[lines], level.sums[first:])
        _extend_integral_image(level.pattern[lines] ** 2, level.squares[first:])

    def _start_level(self, template: Array) -> None:
        lines, pixels = template.shape
        pattern, image = np.empty_like(template), np.empty_like(template)
        sums, squares = np.zeros((2, lines + 1, pixels + 1))
        self.levels.append(PyramidLevel(template, pattern, sums, squares, image))
        self._next_line = 0


def build_pyramid(template: Array) -> list[PyramidLevel]:
    """Return the levels of a (lines, pixels) float32 template, finest first."""
    builder = PyramidBuilder(template)
    while not builder.is_done:
        builder.advance()
    return builder.levels


def compute_inverse_norms(level: PyramidLevel, ry: int, rx: int) -> Array:
    """Return 1 / norm of the part of the pattern that is seen at each shift.

    (2 * ry + 1, 2 * rx + 1) float32; [ry + y, rx + x] belongs to the shift (y, x). The
    part is as large as a frame without margins of (ry, rx).
    """
    lines, pixels = level.pattern.shape
    size = lines - 2 * ry, pixels - 2 * rx
    sums, squares = _sum_windows(level.sums, size), _sum_windows(level.squares, size)
    norms = np.sqrt(np.maximum(squares - sums**2 / (size[0] * size[1]), 0))
    # The middle of a frame moved by +y shows what the pattern has y lines above.
    norms = norms[::-1, ::-1]
    scales = np.divide(1.0, norms, where=norms > 0, out=np.zeros_like(norms))
    return np.ascontiguousarray(scales, np.float32)


def _has_coarser_level(template: Array) -> bool:
    return min(template.shape) // 2 >= _MIN_COARSEST_SIDE_PX


def _halve(template: Array) -> Array:
    lines, pixels = template.shape
    half = np.empty((lines // 2, pixels // 2), np.float32)
    kernels.halve_image(template, half)
    return half


def _band_pass_lines(image: Array, lines: slice) -> Array:
    """Return these lines of the band-passed image."""
    above = min(lines.start, _FILTER_REACH_PX)
    nearby = image[lines.start - above : lines.stop + _FILTER_REACH_PX]
    inner = slice(above, above + lines.stop - lines.start)
    # Filtering down the columns is a product with the filtered unit matrix: faster.
    unit = np.eye(len(nearby), dtype=np.float32)
    fine, broad = (
        gaussian_filter1d(
            gaussian_filter1d(unit, sigma, axis=0)[inner] @ nearby, sigma, axis=1
        )
        for sigma in (_FINE_SIGMA_PX, _BROAD_SIGMA_PX)
    )
    return np.asarray(fine - broad)


def _extend_integral_image(lines: Array, sums: Array) -> None:
    """Continue an integral image, whose first line is complete, over more lines."""
    extension = sums[1 : len(lines) + 1, 1:]
    np.cumsum(lines, 0, out=extension)
    np.cumsum(extension, 1, out=extension)
    extension += sums[0, 1:]


def _sum_windows(integral: Array, size: tuple[int, int]) -> Array:
    """Return the sum over every window of this size, by its top left corner."""
    h, w = size
    below = integral[h:, w:] - integral[h:, :-w]
    return np.asarray(below - integral[:-h, w:] + integral[:-h, :-w])
