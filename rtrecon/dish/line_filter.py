"""Line filter: how much each pixel looks like a piece of a thin bright line.

A bank of elongated filters in twelve directions. Texture is dark as often as bright,
while a neurite's flanks are less dark than the neurite is bright: the dark response
nearby is taken off. On a real picture this removes most of what is no neurite.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from scipy import fft

from rtrecon.core.numba_jit import jit_summing_kernel
from rtrecon.core.types import Array
from rtrecon.dish.image_filters import dilate_square

_N_DIRECTIONS, _REACH_PX = 12, 10
_ACROSS_PX, _ALONG_PX = 1.4, 4.5  # sigmas of a filter
_DARK_SHARE, _DARK_REACH_PX = 0.6, 2
_FLANK_SHARE = 0.3  # the flanks of a bright line have this share of its response
# The median of the response to noise is this many sigmas of a single filter.
_NOISE_MEDIAN = 1.5
_LINE_SIGMA_PX = 1.3  # of the line for which `LINE_GAIN` holds
_MAX_SHAPES = 2


class LineFilter:
    """The bank of filters; it stores their spectra for the shapes that it has seen."""

    def __init__(self) -> None:
        self._bank = make_line_filters()
        self._spectra: OrderedDict[tuple[int, int], Array] = OrderedDict()
        self.line_gain = _measure_line_gain(self._bank[0])

    def measure_lines(self, flat: Array) -> tuple[Array, float]:
        """Return the line strength, and its scale.

        flat: float32 (lines, pixels). The strength, float32, is in sigmas of what the
        noise of this picture gives; interpolation cannot change that, because the noise
        is measured on the filters' output. scale: strength per unit of a filter's
        response; a line of height h (sigma 1.3 px) has strength h * line_gain * scale.
        """
        bright, dark = self._filter_all(flat)
        median = float(np.median(bright[::2, ::2]))
        scale = _NOISE_MEDIAN / max(median, 1e-6)
        around = dilate_square(dark, _DARK_REACH_PX)
        flanks = dilate_square(bright, _DARK_REACH_PX)
        flanks *= np.float32(_FLANK_SHARE)
        around -= np.maximum(flanks, np.float32(1.5 * median))
        _subtract_dark(bright, around, _DARK_SHARE, scale)
        return bright, scale

    def _filter_all(self, flat: Array) -> tuple[Array, Array]:
        """Return the largest response of all directions, and minus the smallest."""
        spectra = self._get_spectra((flat.shape[0], flat.shape[1]))
        padded = np.pad(flat, _REACH_PX, mode="symmetric")
        size = [fft.next_fast_len(side, real=True) for side in padded.shape]
        picture = fft.rfft2(padded, size)
        bright = np.full(flat.shape, -np.inf, np.float32)
        dark = bright.copy()
        for spectrum in spectra:
            response = fft.irfft2(picture * spectrum, size, overwrite_x=True)
            _collect_extremes(response, 2 * _REACH_PX, bright, dark)
        return bright, dark

    def _get_spectra(self, shape: tuple[int, int]) -> Array:
        if shape not in self._spectra:
            size = [fft.next_fast_len(n + 2 * _REACH_PX, real=True) for n in shape]
            spectra = fft.rfft2(self._bank, size, axes=(1, 2)).astype(np.complex64)
            self._spectra[shape] = spectra
            if len(self._spectra) > _MAX_SHAPES:
                self._spectra.popitem(last=False)
        self._spectra.move_to_end(shape)
        return self._spectra[shape]


def make_line_filters() -> Array:
    """Return float32 (12, side, side) filters; each has mean 0 and square sum 1."""
    steps = np.arange(-_REACH_PX, _REACH_PX + 1)
    angles = np.pi * np.arange(_N_DIRECTIONS)[:, None, None] / _N_DIRECTIONS
    along = steps * np.cos(angles) + steps[:, None] * np.sin(angles)
    across = steps[:, None] * np.cos(angles) - steps * np.sin(angles)
    bend = (across / _ACROSS_PX) ** 2
    bank = (1 - bend) * np.exp(-bend / 2 - (along / _ALONG_PX) ** 2 / 2)
    bank -= bank.mean((1, 2), keepdims=True)
    bank /= np.sqrt((bank**2).sum((1, 2), keepdims=True))
    return np.asarray(bank, np.float32)


def _measure_line_gain(horizontal: Array) -> float:
    """Return the response of the first filter to a line of height 1."""
    steps = np.arange(-_REACH_PX, _REACH_PX + 1)
    line = np.exp(-((steps / _LINE_SIGMA_PX) ** 2) / 2)
    return float((horizontal * line[:, None]).sum())


@jit_summing_kernel
def _collect_extremes(response: Array, origin: int, bright: Array, dark: Array) -> None:
    """Update the largest response and minus the smallest one, pixel by pixel."""
    for row in range(bright.shape[0]):
        for col in range(bright.shape[1]):
            value = response[row + origin, col + origin]
            bright[row, col] = max(bright[row, col], value)
            dark[row, col] = max(dark[row, col], -value)


@jit_summing_kernel
def _subtract_dark(bright: Array, dark: Array, share: float, scale: float) -> None:
    """Take the excess of the dark response off the bright one, in place."""
    for row in range(bright.shape[0]):
        for col in range(bright.shape[1]):
            excess = max(dark[row, col], 0.0)
            left = max(bright[row, col] - share * excess, 0.0)
            bright[row, col] = left * scale
