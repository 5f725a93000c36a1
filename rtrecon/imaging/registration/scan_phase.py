"""Scan phase: how far odd lines lie to the right of even ones.

A bidirectional scanner draws odd lines backwards. Each odd line is correlated, at every
small offset, with the sum of the even lines above and below it, in which a slanted
structure is symmetric about the odd line. Lines are grouped into bands; how much the
bands disagree gives the error of the offset, and separates evidence from noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from rtrecon.core.types import Array
from rtrecon.imaging.registration.rigid import fit_parabola_peak

# Search range in each direction; a larger offset is a fault that everybody sees.
_REACH_PX, _STEP_PX = 8.0, 0.1
# Smaller offsets do no harm; correcting them would blur every other line a little.
_MIN_OFFSET_PX = 0.1
_MAX_BANDS, _MIN_BANDS = 32, 4
# In s.d. of the mean over bands: none of a thousand images of noise passed.
_MIN_Z_SCORE = 3.0
# Offsets nearer than this belong to one peak.
_PEAK_WIDTH_PX = 1.0
# A second peak of this relative height comes from a periodic texture.
_PERIODIC_RATIO = 0.9
# Finer detail is photon noise, broader structure is illumination.
_FINE_SIGMA_PX, _BROAD_SIGMA_PX = 1.0, 4.0
_TAPER_FRACTION = 1 / 16  # of a line, at each end


@dataclass(frozen=True)
class ScanOffset:
    """How far odd lines lie to the right of even ones.

    px: 0 where it is less than 0.1 px, or within what noise alone would give. error_px:
    one s.d.; inf where the offset cannot be estimated.
    """

    px: float
    error_px: float


def estimate_scan_offset(frames: Array | list[Array]) -> ScanOffset:
    """Return the scan offset of frames (n, lines, pixels) of one plane.

    Searches up to 8 px in the mean of the frames; a few dozen are enough. They need no
    registration, because the offset stays with the line however the brain moves.
    Constant frames are left out. Takes 0.1 s for 30 frames of 512 x 512.
    """
    usable = [frame for frame in frames if frame.min() < frame.max()]
    if not usable or _count_bands(len(usable[0])) < _MIN_BANDS:
        return ScanOffset(0.0, inf)
    offsets, scores = _correlate_odd_lines(np.mean(usable, 0))
    best = int(scores.sum(0)[1:-1].argmax()) + 1
    others = np.abs(offsets - offsets[best]) >= _PEAK_WIDTH_PX
    z_score = _smallest_z_score(scores[:, [best]] - scores[:, others])
    if z_score < _MIN_Z_SCORE or _is_periodic(scores.sum(0)):
        return ScanOffset(0.0, inf)
    step, error = _locate_peak(scores[:, best - 1 : best + 2])
    px, error_px = float(offsets[best] + _STEP_PX * step), _STEP_PX * error
    is_significant = abs(px) > max(_MIN_OFFSET_PX, _MIN_Z_SCORE * error_px)
    return ScanOffset(px if is_significant else 0.0, error_px)


def _count_bands(lines: int) -> int:
    return min(_MAX_BANDS, (lines - 1) // 4)


def _correlate_odd_lines(image: Array) -> tuple[Array, Array]:
    """Return offsets (k,) in px, and the correlation of odd lines there, (bands, k)."""
    lines, pixels = image.shape
    cycles = np.fft.rfftfreq(pixels)  # per px
    tapered = (image - image.mean(1, keepdims=True)) * _make_taper(pixels)
    spectra = np.fft.rfft(tapered)
    fine, broad = (_blur_response(cycles, s) for s in (_FINE_SIGMA_PX, _BROAD_SIGMA_PX))
    spectra *= fine - broad
    odd, even = spectra[1 : lines - 1 : 2], spectra[::2]
    neighbors = even[: len(odd)] + even[1 : len(odd) + 1]
    offsets = np.arange(-_REACH_PX, _REACH_PX + _STEP_PX / 2, _STEP_PX)
    # Odd lines d px further right are the even ones times exp(-2 pi i cycles d).
    shifts_back = np.exp(2j * np.pi * np.outer(cycles, offsets))
    products = (_sum_bands(odd * np.conj(neighbors)) @ shifts_back).real
    energies = [_sum_bands(np.abs(part) ** 2).sum(1) for part in (odd, neighbors)]
    norms = np.sqrt(energies[0] * energies[1])[:, None]
    return offsets, np.divide(products, norms, where=norms > 0, out=products)


def _sum_bands(lines: Array) -> Array:
    """Return the sums of (odd lines, k) over each band: (bands, k)."""
    count = _count_bands(2 * len(lines) + 1)
    return np.add.reduceat(lines, np.arange(count) * len(lines) // count)


def _make_taper(pixels: int) -> Array:
    """Return ones that fall to zero at both ends of a line.

    A Fourier shift moves what leaves at one end in at the other.
    """
    from_end = np.minimum(np.arange(pixels), np.arange(pixels)[::-1]) + 0.5
    return np.sin(np.pi / 2 * np.minimum(from_end / (_TAPER_FRACTION * pixels), 1)) ** 2


def _blur_response(cycles: Array, sigma_px: float) -> Array:
    """Return the share of each frequency that a Gaussian blur passes."""
    return np.asarray(np.exp(-2 * (np.pi * sigma_px * cycles) ** 2))


def _smallest_z_score(leads: Array) -> float:
    """Return the smallest mean of (bands, k) over bands, in s.d. of that mean."""
    spread = leads.std(0, ddof=1) / sqrt(len(leads))
    means = leads.mean(0)
    return float(np.divide(means, spread, where=spread > 0, out=means).min())


def _is_periodic(scores: Array) -> bool:
    middle = scores[1:-1]
    peaks = np.sort(middle[(middle > scores[:-2]) & (middle >= scores[2:])])
    return len(peaks) > 1 and bool(peaks[-2] > _PERIODIC_RATIO * peaks[-1])


def _locate_peak(scores: Array) -> tuple[float, float]:
    """Return where the sum of (bands, 3) scores peaks from the middle, and one s.d.

    Both in steps. At the peak the slopes of all bands cancel; the slope that each band
    has there gives the error.
    """
    step, _ = fit_parabola_peak(*scores.sum(0).tolist())
    bends = scores[:, 0] - 2 * scores[:, 1] + scores[:, 2]
    slopes = (scores[:, 2] - scores[:, 0]) / 2 + bends * step
    total = -float(bends.sum())
    return step, float(np.linalg.norm(slopes)) / total if total > 0 else inf
