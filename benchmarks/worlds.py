"""Fields of view under known motion and activity, for the benchmarks of the front.

A canvas of twice the resolution is moved in Fourier space: exact, and no interpolator
is favoured. Where rows move on their own, they are read off it by quintic splines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.fft import fftfreq, irfft2, rfft2, rfftfreq
from scipy.ndimage import (
    gaussian_filter,
    gaussian_filter1d,
    map_coordinates,
    spline_filter,
)

from rtrecon.core.types import Array
from rtrecon.rois.roi_set import RoiSet, build_roi_set

SIDE_PX = 512
COUNTS_PER_PHOTON, READ_NOISE = 30.0, 10.0
PHOTONS = {"hi": 2.0, "lo": 0.2}  # per pixel and frame
ROW_TRAVEL_PX = 2.0  # s.d. of a row's displacement within a frame
DISC_PX = 6.6  # radius: 137 px per cell, as in the published comparisons


@dataclass(frozen=True)
class World:
    """A movie of one field under known motion.

    template: (lines, pixels) float32, mean of 100 still frames. frames: (n, lines,
    pixels) int16. shifts_px: (n, 2), or (n, lines, 2) where rows move on their own.
    """

    template: Array
    frames: Array
    shifts_px: Array


def rigid_world(photons: float, n_frames: int, seed: int = 0) -> World:
    """Return a field that moves as a whole, 2 px s.d. per axis."""
    rng = np.random.default_rng(seed)
    spectrum = rfft2(_canvas(rng))
    shifts = rng.normal(0, 2.0, (n_frames, 2))
    frames = [_detected(photons * _moved(spectrum, s), rng) for s in shifts]
    return World(_template(spectrum, photons, rng), np.array(frames), shifts)


def row_world(photons: float, n_frames: int, seed: int = 0) -> World:
    """Return a field whose rows move on their own while it is scanned."""
    rng = np.random.default_rng(seed)
    canvas = _canvas(rng)
    spline = spline_filter(_boxed(canvas), order=5, mode="grid-wrap")
    shifts = _row_shifts(rng, n_frames)
    frames = [_detected(photons * _by_rows(spline, s), rng) for s in shifts]
    return World(_template(rfft2(canvas), photons, rng), np.array(frames), shifts)


def _row_shifts(rng: np.random.Generator, n_frames: int) -> Array:
    """Whole-frame motion, and on it a smooth random path from row to row."""
    paths = rng.normal(size=(n_frames, SIDE_PX, 2))
    paths = gaussian_filter1d(paths, SIDE_PX / 4, axis=1, mode="reflect")
    paths *= ROW_TRAVEL_PX / paths.std()
    return np.asarray(paths + rng.normal(0, 1.5, (n_frames, 1, 2)))


def _boxed(canvas: Array) -> Array:
    """Mean over 2 x 2 canvas samples, centred on each sample's upper left corner."""
    down = canvas + np.roll(canvas, -1, 0)
    return np.asarray(0.25 * (down + np.roll(down, -1, 1)))


def _by_rows(spline: Array, shifts_px: Array) -> Array:
    rows = 2 * (np.arange(SIDE_PX) - shifts_px[:, 0])
    cols = 2 * (np.arange(SIDE_PX)[None] - shifts_px[:, 1:])
    places = np.broadcast_to(rows[:, None], cols.shape), cols
    image = map_coordinates(spline, places, order=5, mode="grid-wrap", prefilter=False)
    return np.asarray(image.clip(0.01))


def _template(spectrum: Array, photons: float, rng: np.random.Generator) -> Array:
    still = _moved(spectrum, (0.0, 0.0))
    counts = rng.poisson(100 * photons * still) / 100 * COUNTS_PER_PHOTON
    return np.asarray(counts, np.float32)


def _canvas(rng: np.random.Generator) -> Array:
    """Ring somata on neuropil of three scales, mean 1, two samples per pixel."""
    side = 2 * SIDE_PX
    canvas = np.ones((side, side))
    for sigma, depth in ((6, 0.25), (20, 0.2), (120, 0.2)):
        texture = gaussian_filter(rng.normal(size=canvas.shape), sigma, mode="wrap")
        canvas += depth * texture / texture.std()
    distance = np.hypot(*(np.mgrid[:61, :61] - 30))
    for top, left in rng.integers(0, side - 61, (300, 2)):
        ring = np.exp(-0.5 * ((distance - rng.uniform(8, 11)) / 2.5) ** 2)
        canvas[top : top + 61, left : left + 61] += rng.lognormal(0.2, 0.5) * ring
    canvas = gaussian_filter(canvas.clip(0.1), 1.2, mode="wrap")
    return np.asarray(canvas / canvas.mean())


def _moved(spectrum: Array, shift_px: Array | tuple[float, float]) -> Array:
    side = spectrum.shape[0]
    turns = fftfreq(side)[:, None] * shift_px[0] + rfftfreq(side) * shift_px[1]
    image = irfft2(spectrum * np.exp(-4j * np.pi * turns), s=(side, side))
    return np.asarray(image.reshape(SIDE_PX, 2, SIDE_PX, 2).mean((1, 3)).clip(0.01))


def _detected(photons: Array, rng: np.random.Generator) -> Array:
    counts = COUNTS_PER_PHOTON * rng.poisson(photons)
    noisy = counts + rng.normal(0, READ_NOISE, photons.shape)
    return np.clip(np.rint(noisy), -32768, 32767).astype(np.int16)


def scattered_rois(n: int, side_px: int = SIDE_PX, seed: int = 0) -> RoiSet:
    """Return n discs of 137 px anywhere in the field; they overlap as they fall."""
    rows, cols = np.mgrid[-7:8, -7:8]
    disc = np.hypot(rows, cols) < DISC_PX
    places = np.random.default_rng(seed).integers(8, side_px - 8, (n, 2))
    weights = np.ones(disc.sum())
    masks = [(rows[disc] + y, cols[disc] + x, weights) for y, x in places]
    return build_roi_set(np.arange(n), (side_px, side_px), masks)


@dataclass(frozen=True)
class Active:
    """A moving field of active cells, frame by frame, for traces against truth.

    rois: discs on the cells. activity: (n_frames, n_cells), the dF/F that was shown.
    """

    rois: RoiSet
    template: Array
    activity: Array
    shifts_px: Array
    photons: float
    _spectra: Array
    _dark: Array

    def frames(self, seed: int = 1) -> list[Array]:
        """Render every frame, (lines, pixels) int16."""
        rng = np.random.default_rng(seed)
        images = []
        for glow, shift in zip(self.activity, self.shifts_px, strict=True):
            spectrum = self._dark + np.tensordot(glow, self._spectra, 1)
            images.append(_detected(self.photons * _moved(spectrum, shift), rng))
        return images


N_CELLS, ACTIVE_SIDE_PX = 48, SIDE_PX


def active_world(photons: float, n_frames: int, seed: int = 0) -> Active:
    """Return 48 cells that flash on a field that jitters (2 px s.d., bursts to 9)."""
    rng = np.random.default_rng(seed)
    canvas = _canvas(rng)
    grid = np.array([(r, c) for r in range(8) for c in range(6)])
    centers = (grid + 0.5) * (SIDE_PX / 8, SIDE_PX / 6) + rng.uniform(-8, 8, (48, 2))
    distance = np.hypot(*(np.mgrid[:49, :49] - 24))
    soma = np.exp(-0.5 * (distance / 9.0) ** 4)
    spectra = np.empty((N_CELLS, 2 * SIDE_PX, SIDE_PX + 1), np.complex64)
    places = np.rint(2 * centers).astype(int)
    for k, (y, x) in enumerate(places):
        cell = np.zeros_like(canvas)
        cell[y - 24 : y + 25, x - 24 : x + 25] = soma
        canvas += 0.5 * cell
        spectra[k] = rfft2(cell)
    rows, cols = np.mgrid[-7:8, -7:8]
    disc = np.hypot(rows, cols) < DISC_PX
    half = np.rint(places / 2).astype(int)
    weights = np.ones(disc.sum())
    masks = [(rows[disc] + y, cols[disc] + x, weights) for y, x in half]
    dark = rfft2(canvas).astype(np.complex64)
    return Active(
        rois=build_roi_set(np.arange(N_CELLS), (SIDE_PX, SIDE_PX), masks),
        template=_template(dark, photons, rng),
        activity=_flashes(rng, n_frames),
        shifts_px=_jitter(rng, n_frames),
        photons=photons,
        _spectra=spectra,
        _dark=dark,
    )


def _flashes(rng: np.random.Generator, n_frames: int) -> Array:
    """dF/F of sparse events that decay by 5 % a frame."""
    events = rng.random((n_frames, N_CELLS)) < 0.02
    calcium = np.zeros((n_frames, N_CELLS))
    for t in range(1, n_frames):
        calcium[t] = 0.95 * calcium[t - 1] + events[t] * rng.uniform(0.3, 1.0, N_CELLS)
    return calcium


def _jitter(rng: np.random.Generator, n_frames: int) -> Array:
    shifts = rng.normal(0, 1.5, (n_frames, 2)) + rng.normal(
        0, 0.08, (n_frames, 2)
    ).cumsum(0)
    bursts = rng.random(n_frames) < 0.02
    return np.asarray(shifts + bursts[:, None] * rng.normal(0, 4, (n_frames, 2))).clip(
        -9, 9
    )
