"""A simulated two-photon microscope: from spikes to int16 frames.

Cell bodies are soft rings. Neuropil is a coarse grid of broad clouds; each follows the
neurons inside it. The indicator rises and decays, and the brain moves. Photon counts
are Poisson; the detector adds an offset, a gain and noise. Frames are int16, as those
of ScanImage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.rois import roi_set
from rtrecon.rois.roi_set import RoiSet
from rtrecon.simulate import render
from rtrecon.simulate.behavior import ornstein_uhlenbeck_noise
from rtrecon.simulate.leaky_integrator import integrate_with_leak

_SPACING_PX = 12.0  # between neighbouring somata, about 14 um
_NEUROPIL_GRID_PX = 64  # between nodes of the neuropil
_DFF_PER_SPIKE = 0.25  # peak; GCaMP6s, Chen et al. 2013
_MOTION_SD_PX = (0.8, 0.9)  # y, x: measured in a real awake recording
_MOTION_TAU_S = 1.6
_JITTER_SD_PX = 0.15


@dataclass(frozen=True)
class Optics:
    """Photons and electronics, per pixel and frame."""

    tissue_photons: float = 1.0  # of the tissue between cell bodies
    gain: float = 60.0  # counts per photon
    detector_offset: float = 40.0  # counts without light
    read_noise: float = 12.0  # counts


@dataclass(frozen=True)
class ImagedField:
    """The field of view of one mouse, the same on every day.

    masks: true footprints. tissue (H, W): photons at rest, without cell bodies.
    brightness (n,): photons per pixel of a cell body at rest. neuropil_weights
    (n, gy, gx): how much each neuron drives the neuropil at the nodes of a coarse grid.
    """

    masks: RoiSet
    tissue: Array
    brightness: Array
    neuropil_weights: Array
    optics: Optics


@dataclass(frozen=True)
class SimulatedRecording:
    """Everything that is needed to render any frame of one session.

    calcium (T, n) dF/F. neuropil (T, gy, gx) dF/F. shift_px (T, 2) y, x.
    """

    field: ImagedField
    calcium: Array
    neuropil: Array
    shift_px: Array
    seed: int

    def __len__(self) -> int:
        return len(self.calcium)

    def render_frame(self, index: int, out: Array) -> Array:
        """Render frame `index` into `out`, int16 (H, W); repeatable."""
        field = self.field
        light = render.render_light(
            field.tissue,
            self.neuropil[index],
            field.masks.indptr,
            field.masks.rows,
            field.masks.cols,
            field.masks.weights,
            field.brightness * (1 + self.calcium[index]),
        )
        optics = field.optics
        electronics = np.array([optics.gain, optics.detector_offset, optics.read_noise])
        seed = np.uint64(self.seed * 1_000_003 + index + 1)
        dy, dx = self.shift_px[index]
        render.expose_frame(light, float(dy), float(dx), electronics, seed, out)
        return out


def make_imaged_field(n_neurons: int, side_px: int, seed: int) -> ImagedField:
    """Place n neurons on a square field of `side_px` lines and pixels.

    Raises UserError if they do not fit.
    """
    rng = np.random.default_rng([seed, 1])
    centers = _place_somata(n_neurons, side_px, rng)
    optics = Optics()
    texture = gaussian_filter(rng.normal(size=(side_px, side_px)), 3, mode="wrap")
    texture += 2.5 * gaussian_filter(rng.normal(size=texture.shape), 18, mode="wrap")
    tissue = optics.tissue_photons * np.exp(0.25 * texture / texture.std())
    return ImagedField(
        masks=_draw_masks(centers, side_px, rng),
        tissue=tissue.astype(np.float32),
        brightness=np.exp(rng.normal(np.log(3.0), 0.35, n_neurons)).astype(np.float32),
        neuropil_weights=_neuropil_weights(centers, side_px),
        optics=optics,
    )


def image_field(
    field: ImagedField, spikes: Array, rate_hz: float, seed: int
) -> SimulatedRecording:
    """Image the field while its neurons fire `spikes` (T, n)."""
    rng = np.random.default_rng([seed, 2])
    calcium = calcium_dff(spikes, rate_hz)
    weights = field.neuropil_weights.reshape(field.neuropil_weights.shape[0], -1)
    neuropil_noise = ornstein_uhlenbeck_noise(
        (len(spikes), weights.shape[1]), 0.5 * rate_hz, rng
    )
    neuropil = np.maximum(3.0 * calcium @ weights + 0.04 * neuropil_noise, -0.5)
    return SimulatedRecording(
        field=field,
        calcium=calcium,
        neuropil=neuropil.reshape(len(spikes), *field.neuropil_weights.shape[1:]),
        shift_px=_simulate_motion(len(spikes), rate_hz, rng),
        seed=seed,
    )


def calcium_dff(spikes: Array, rate_hz: float, decay_s: float = 0.7) -> Array:
    """Return dF/F (T, n): a spike's response rises in 50 ms and decays in `decay_s`."""
    rise_factor, decay_factor = (
        np.exp(-1 / (0.05 * rate_hz)),
        np.exp(-1 / (decay_s * rate_hz)),
    )
    lags = np.arange(int(rate_hz))
    peak = (decay_factor**lags - rise_factor ** (lags + 1)).max()
    response = integrate_with_leak(spikes, decay_factor)
    response -= rise_factor * integrate_with_leak(spikes, rise_factor)
    return (_DFF_PER_SPIKE / peak * response).astype(np.float32)


def _simulate_motion(n_frames: int, rate_hz: float, rng: np.random.Generator) -> Array:
    """Return (T, 2) px: slow motion and jitter between frames, as in awake mice."""
    sway = ornstein_uhlenbeck_noise((n_frames, 2), _MOTION_TAU_S * rate_hz, rng)
    jitter = _JITTER_SD_PX * rng.normal(size=(n_frames, 2))
    return (sway * np.array(_MOTION_SD_PX) + jitter).astype(np.float32)


def _place_somata(n_neurons: int, side_px: int, rng: np.random.Generator) -> Array:
    """Return (n, 2) px: random positions at least a cell body apart."""
    margin, grid = 10, int(np.ceil(side_px / _SPACING_PX))
    taken = np.full((grid + 2, grid + 2, 2), -1e6)
    placed: list[Array] = []
    for _ in range(60 * n_neurons):
        spot = rng.uniform(margin, side_px - margin, 2)
        gy, gx = (spot / _SPACING_PX).astype(int) + 1
        near = taken[gy - 1 : gy + 2, gx - 1 : gx + 2].reshape(-1, 2)
        if ((near - spot) ** 2).sum(1).min() >= _SPACING_PX**2 * 0.85:
            taken[gy, gx] = spot
            placed.append(spot)
        if len(placed) == n_neurons:
            return np.array(placed)
    raise UserError(
        f"{n_neurons} neurons do not fit a field of {side_px} x {side_px} px "
        f"({len(placed)} did); ask for fewer"
    )


def _draw_masks(centers: Array, side_px: int, rng: np.random.Generator) -> RoiSet:
    pixels = []
    y, x = np.mgrid[-8:9, -8:9]
    for cy, cx in centers:
        dy, dx = y - (cy - round(cy)), x - (cx - round(cx))
        radius = rng.uniform(4.4, 5.8)
        apart = np.hypot(dy * rng.uniform(0.9, 1.1), dx)
        disc = 1 / (1 + np.exp((apart - radius) / 0.5))
        ring = disc * (1 - 0.55 * np.exp(-(apart**2) / (2 * (0.4 * radius) ** 2)))
        keep = ring > 0.05
        rows, cols = (round(cy) + y)[keep], (round(cx) + x)[keep]
        pixels.append((rows, cols, ring[keep]))
    return roi_set.build_roi_set(np.arange(len(centers)), (side_px, side_px), pixels)


def _neuropil_weights(centers: Array, side_px: int) -> Array:
    nodes = np.arange(0, side_px + _NEUROPIL_GRID_PX, _NEUROPIL_GRID_PX)
    grid = np.stack(np.meshgrid(nodes, nodes, indexing="ij"), -1)
    apart = ((centers[:, None, None] - grid) ** 2).sum(-1)
    near = np.exp(-apart / (2 * (0.8 * _NEUROPIL_GRID_PX) ** 2))
    return (near / (near.sum(0) + 1e-9)).astype(np.float32)
