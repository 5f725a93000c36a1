"""Simulates fields of view whose motion and activity are known.

An image of twice the resolution is shifted in Fourier space: this is exact, and favours
no method of interpolation. Rows that move separately are interpolated by quintic
splines.
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
ROW_SHIFT_SD_PX = 2.0  # of a row within a frame
DISC_PX = 6.6  # radius: 137 px per cell, as in the published comparisons


@dataclass(frozen=True)
class MovingField:
    """Frames of one field, and its true motion.

    template: (lines, pixels) float32, mean of 100 still frames. frames: (n, lines,
    pixels) int16. shifts_px: (n, 2), or (n, lines, 2) if each row has its own shift.
    """

    template: Array
    frames: Array
    shifts_px: Array


def simulate_rigid_motion(photons: float, n_frames: int, seed: int = 0) -> MovingField:
    """Return a field that moves as a whole, 2 px s.d. per axis."""
    rng = np.random.default_rng(seed)
    spectrum = rfft2(_draw_field(rng))
    shifts = rng.normal(0, 2.0, (n_frames, 2))
    frames = [_add_noise(photons * _shift_image(spectrum, s), rng) for s in shifts]
    return MovingField(_make_template(spectrum, photons, rng), np.array(frames), shifts)


def simulate_row_motion(photons: float, n_frames: int, seed: int = 0) -> MovingField:
    """Return a field that moves while it is scanned, so each row has its own shift."""
    rng = np.random.default_rng(seed)
    canvas = _draw_field(rng)
    spline = spline_filter(_average_pixels(canvas), order=5, mode="grid-wrap")
    shifts = _draw_row_shifts(rng, n_frames)
    frames = [_add_noise(photons * _shift_rows(spline, s), rng) for s in shifts]
    return MovingField(
        _make_template(rfft2(canvas), photons, rng), np.array(frames), shifts
    )


def _draw_row_shifts(rng: np.random.Generator, n_frames: int) -> Array:
    """Return the motion of whole frames plus a smooth random path from row to row."""
    paths = rng.normal(size=(n_frames, SIDE_PX, 2))
    paths = gaussian_filter1d(paths, SIDE_PX / 4, axis=1, mode="reflect")
    paths *= ROW_SHIFT_SD_PX / paths.std()
    return np.asarray(paths + rng.normal(0, 1.5, (n_frames, 1, 2)))


def _average_pixels(canvas: Array) -> Array:
    """Average 2 x 2 samples, centred on each sample's upper left corner."""
    down = canvas + np.roll(canvas, -1, 0)
    return np.asarray(0.25 * (down + np.roll(down, -1, 1)))


def _shift_rows(spline: Array, shifts_px: Array) -> Array:
    rows = 2 * (np.arange(SIDE_PX) - shifts_px[:, 0])
    cols = 2 * (np.arange(SIDE_PX)[None] - shifts_px[:, 1:])
    coordinates = np.broadcast_to(rows[:, None], cols.shape), cols
    image = map_coordinates(
        spline, coordinates, order=5, mode="grid-wrap", prefilter=False
    )
    return np.asarray(image.clip(0.01))


def _make_template(spectrum: Array, photons: float, rng: np.random.Generator) -> Array:
    image = _shift_image(spectrum, (0.0, 0.0))
    counts = rng.poisson(100 * photons * image) / 100 * COUNTS_PER_PHOTON
    return np.asarray(counts, np.float32)


def _draw_field(rng: np.random.Generator) -> Array:
    """Draw annular somata on neuropil of three scales: mean 1, two samples a pixel."""
    side = 2 * SIDE_PX
    canvas = np.ones((side, side))
    for sigma, depth in ((6, 0.25), (20, 0.2), (120, 0.2)):
        texture = gaussian_filter(rng.normal(size=canvas.shape), sigma, mode="wrap")
        canvas += depth * texture / texture.std()
    distance = np.hypot(*(np.mgrid[:61, :61] - 30))
    for top, left in rng.integers(0, side - 61, (300, 2)):
        soma = np.exp(-0.5 * ((distance - rng.uniform(8, 11)) / 2.5) ** 2)
        canvas[top : top + 61, left : left + 61] += rng.lognormal(0.2, 0.5) * soma
    canvas = gaussian_filter(canvas.clip(0.1), 1.2, mode="wrap")
    return np.asarray(canvas / canvas.mean())


def _shift_image(spectrum: Array, shift_px: Array | tuple[float, float]) -> Array:
    side = spectrum.shape[0]
    phase = fftfreq(side)[:, None] * shift_px[0] + rfftfreq(side) * shift_px[1]
    image = irfft2(spectrum * np.exp(-4j * np.pi * phase), s=(side, side))
    return np.asarray(image.reshape(SIDE_PX, 2, SIDE_PX, 2).mean((1, 3)).clip(0.01))


def _add_noise(photons: Array, rng: np.random.Generator) -> Array:
    counts = COUNTS_PER_PHOTON * rng.poisson(photons)
    noisy = counts + rng.normal(0, READ_NOISE, photons.shape)
    return np.clip(np.rint(noisy), -32768, 32767).astype(np.int16)


def scatter_rois(n: int, side_px: int = SIDE_PX, seed: int = 0) -> RoiSet:
    """Return n discs of 137 px at random positions; discs may overlap."""
    rows, cols = np.mgrid[-7:8, -7:8]
    disc = np.hypot(rows, cols) < DISC_PX
    centers = np.random.default_rng(seed).integers(8, side_px - 8, (n, 2))
    weights = np.ones(disc.sum())
    masks = [(rows[disc] + y, cols[disc] + x, weights) for y, x in centers]
    return build_roi_set(np.arange(n), (side_px, side_px), masks)


@dataclass(frozen=True)
class ActiveField:
    """A moving field of cells whose activity is known.

    rois: discs on the cells. activity: (n_frames, n_cells), the true dF/F.
    """

    rois: RoiSet
    template: Array
    activity: Array
    shifts_px: Array
    photons: float
    _cell_spectra: Array
    _resting_spectrum: Array

    def render_frames(self, seed: int = 1) -> list[Array]:
        """Render every frame, (lines, pixels) int16."""
        rng = np.random.default_rng(seed)
        images = []
        for dff, shift in zip(self.activity, self.shifts_px, strict=True):
            spectrum = self._resting_spectrum + np.tensordot(dff, self._cell_spectra, 1)
            images.append(_add_noise(self.photons * _shift_image(spectrum, shift), rng))
        return images


N_CELLS = 48


def simulate_active_cells(photons: float, n_frames: int, seed: int = 0) -> ActiveField:
    """Return 48 active cells in a field that jitters: s.d. 1.5 px, bursts to 9 px."""
    rng = np.random.default_rng(seed)
    canvas = _draw_field(rng)
    grid = np.array([(r, c) for r in range(8) for c in range(6)])
    centers = (grid + 0.5) * (SIDE_PX / 8, SIDE_PX / 6) + rng.uniform(-8, 8, (48, 2))
    distance = np.hypot(*(np.mgrid[:49, :49] - 24))
    soma = np.exp(-0.5 * (distance / 9.0) ** 4)
    spectra = np.empty((N_CELLS, 2 * SIDE_PX, SIDE_PX + 1), np.complex64)
    positions = np.rint(2 * centers).astype(int)  # on the image of two samples a pixel
    for k, (y, x) in enumerate(positions):
        cell = np.zeros_like(canvas)
        cell[y - 24 : y + 25, x - 24 : x + 25] = soma
        canvas += 0.5 * cell
        spectra[k] = rfft2(cell)
    rows, cols = np.mgrid[-7:8, -7:8]
    disc = np.hypot(rows, cols) < DISC_PX
    centers_px = np.rint(positions / 2).astype(int)
    weights = np.ones(disc.sum())
    masks = [(rows[disc] + y, cols[disc] + x, weights) for y, x in centers_px]
    resting = rfft2(canvas).astype(np.complex64)
    return ActiveField(
        rois=build_roi_set(np.arange(N_CELLS), (SIDE_PX, SIDE_PX), masks),
        template=_make_template(resting, photons, rng),
        activity=_draw_activity(rng, n_frames),
        shifts_px=_draw_jitter(rng, n_frames),
        photons=photons,
        _cell_spectra=spectra,
        _resting_spectrum=resting,
    )


def _draw_activity(rng: np.random.Generator, n_frames: int) -> Array:
    """Return dF/F of sparse events that decay by 5 % per frame."""
    events = rng.random((n_frames, N_CELLS)) < 0.02
    calcium = np.zeros((n_frames, N_CELLS))
    for t in range(1, n_frames):
        calcium[t] = 0.95 * calcium[t - 1] + events[t] * rng.uniform(0.3, 1.0, N_CELLS)
    return calcium


def _draw_jitter(rng: np.random.Generator, n_frames: int) -> Array:
    shifts = rng.normal(0, 1.5, (n_frames, 2)) + rng.normal(
        0, 0.08, (n_frames, 2)
    ).cumsum(0)
    bursts = rng.random(n_frames) < 0.02
    return np.asarray(shifts + bursts[:, None] * rng.normal(0, 4, (n_frames, 2))).clip(
        -9, 9
    )
