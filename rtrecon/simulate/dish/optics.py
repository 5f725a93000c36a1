"""The picture of a simulated dish: fluorescence, shading, halos, focus and camera."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, shift

from rtrecon.core.types import Array
from rtrecon.simulate.dish.culture import Culture
from rtrecon.simulate.dish.neuron import Neurite, Neuron
from rtrecon.simulate.dish.scene import Defect, DishScene

_BLUR_PX, _DEFOCUS_PX = 1.1, 3.5
# Brightness of a neurite relative to its body, near the body and far from it.
_NEAR, _FAR, _FADE_PX = 0.38, 0.20, 160.0
_THICK_PX, _THIN_PX, _STEM_PX = 2.0, 1.5, 25.0
_CONE_POINTS, _CONE_GAIN = 9, 2.2  # growth cones are wider than the neurite
_N_FILOPODIA, _FILOPODIUM_PX = 4, 5
_HALO, _HALO_PX = 0.03, 14.0  # light of bodies that the optics scatter
_DEATH_FADE, _GONE_STEPS = 0.1, 10
_OFFSET, _GAIN, _READ_NOISE = 100.0, 2.0, 3.0
_BACKGROUND, _STAIN, _PHOTONS = 40.0, 20.0, 260.0  # photons
_LAMP_SD, _BLEACHING = 0.03, 0.002
_MAX_COUNT = 65535
_UNLABELLED_PX = (7.0, 14.0)
_SHADE, _RIM = (0.04, 0.16), (0.03, 0.12)  # share of the background


class DishCamera:
    """Takes pictures of a culture, uint16 (side, side)."""

    def __init__(self, scene: DishScene) -> None:
        self._scene = scene
        self._rng = np.random.default_rng((scene.seed, 1))
        side, n_cells = scene.side_px, scene.n_unlabelled
        rows, cols = np.mgrid[:side, :side] / side
        self._vignette = 1 - 0.5 * ((rows - 0.45) ** 2 + (cols - 0.55) ** 2)
        self._unlabelled = self._rng.uniform(0, side, (n_cells, 2))
        self._sizes_px = self._rng.uniform(*_UNLABELLED_PX, n_cells)
        self._shades = self._rng.uniform(*_SHADE, n_cells)
        self._rims = self._rng.uniform(*_RIM, n_cells)

    def take(
        self, culture: Culture, drift_px: tuple[float, float], defect: Defect
    ) -> Array:
        """Return a picture of the culture as it is now, moved by the drift."""
        light = self._draw_labels(culture)
        background = self._draw_background()
        brightness = self._scene.brightness
        photons = (_BACKGROUND + _STAIN * brightness) * background
        photons = photons + _PHOTONS * brightness * light
        photons = shift(photons, drift_px, order=1, mode="nearest")
        photons *= self._vignette * max(0.3, 1 - _BLEACHING * culture.step)
        photons *= 1 + _LAMP_SD * self._rng.normal()
        return self._read_out(photons, defect)

    def _read_out(self, photons: Array, defect: Defect) -> Array:
        if defect is Defect.OUT_OF_FOCUS:
            photons = gaussian_filter(photons, _DEFOCUS_PX)
        elif defect is Defect.SHUTTER_CLOSED:
            photons = np.zeros_like(photons)
        elif defect is Defect.SATURATED:
            photons = photons * 1e4
        noise = self._rng.normal(0, _READ_NOISE, photons.shape)
        counts = _OFFSET + _GAIN * (self._rng.poisson(np.maximum(photons, 0)) + noise)
        return counts.clip(0, _MAX_COUNT).astype(np.uint16)

    def _draw_labels(self, culture: Culture) -> Array:
        side = self._scene.side_px
        lines, bodies = np.zeros((side, side)), np.zeros((side, side))
        for neuron in culture.neurons:
            age = 0
            if neuron.death_step is not None and culture.step >= neuron.death_step:
                age = culture.step - neuron.death_step + 1
            if age > _GONE_STEPS:
                continue
            self._draw_neurites(lines, neuron, age)
            _draw_body(bodies, neuron, age)
        _deposit(lines, culture.debris, 6 * culture.debris_brightness)
        halo = gaussian_filter(bodies, _HALO_PX) * _HALO * 2 * np.pi * _HALO_PX
        picture = gaussian_filter(lines, _BLUR_PX) + gaussian_filter(bodies, 0.7)
        return picture + halo / 6

    def _draw_neurites(self, lines: Array, neuron: Neuron, age: int) -> None:
        for neurite, points in neuron.trace():
            if not len(points):
                continue
            path_px = np.array(neurite.path_px[-len(points) :])
            weights = _weigh_points(path_px) * neuron.brightness
            if age:  # the neurite of a dying neuron breaks into beads
                beads = np.sin(0.9 * np.arange(len(points)) + neuron.number)
                weights = weights * (beads > -0.6 + 0.25 * age)
            elif neurite.is_tip:
                weights[-_CONE_POINTS:] *= _CONE_GAIN
                self._draw_filopodia(lines, neurite, weights[-1] / 4)
            _deposit(lines, points, weights)

    def _draw_filopodia(self, lines: Array, tip: Neurite, weight: float) -> None:
        headings = tip.heading + self._rng.normal(0, 1.2, _N_FILOPODIA)
        along = np.arange(1, _FILOPODIUM_PX + 1)
        for heading in headings:
            step = np.array([np.sin(heading), np.cos(heading)])
            points = tip.points[-1] + along[:, None] * step
            _deposit(lines, points, np.full(len(points), weight))

    def _draw_background(self) -> Array:
        """Return the background: 1, but for unlabelled cells, dark with bright rims."""
        side = self._scene.side_px
        background = np.ones((side, side))
        cells = zip(
            self._unlabelled, self._sizes_px, self._shades, self._rims, strict=True
        )
        self._unlabelled += self._rng.normal(0, 0.3, self._unlabelled.shape)
        for center, size_px, shade, rim in cells:
            window, distance = _cut_window(background, center, 1.6 * size_px)
            window -= shade / (1 + np.exp(distance - size_px))
            window += rim * np.exp(-((distance - size_px - 1) ** 2) / 4)
        return background


def _weigh_points(path_px: Array) -> Array:
    """Return the light of each px of a neurite, relative to a px of its body."""
    share = _NEAR * np.exp(-path_px / _FADE_PX) + _FAR
    return share * np.where(path_px < _STEM_PX, _THICK_PX, _THIN_PX)


def _draw_body(bodies: Array, neuron: Neuron, age: int) -> None:
    radius_px = neuron.radius_px * (1 - 0.05 * min(age, 8))
    window, distance = _cut_window(bodies, neuron.center, 2 * radius_px, neuron.tilt)
    brightness = neuron.brightness * max(0.0, 1 - _DEATH_FADE * age)
    window += brightness / (1 + np.exp((distance - radius_px) / 0.35))


def _cut_window(
    image: Array, center: Array, reach_px: float, tilt: float | None = None
) -> tuple[Array, Array]:
    """Return the part of the image around a point, and its distance from the point.

    With a tilt, the distance is that of an ellipse whose axes differ by 10 %.
    """
    row, col, reach = round(center[0]), round(center[1]), int(reach_px) + 1
    top, left = max(0, row - reach), max(0, col - reach)
    window = image[top : max(0, row + reach + 1), left : max(0, col + reach + 1)]
    dy = np.arange(window.shape[0])[:, None] + top - center[0]
    dx = np.arange(window.shape[1]) + left - center[1]
    if tilt is None:
        return window, np.hypot(dy, dx)
    along = dy * np.sin(tilt) + dx * np.cos(tilt)
    across = dy * np.cos(tilt) - dx * np.sin(tilt)
    return window, np.hypot(along / 1.05, across * 1.05)


def _deposit(image: Array, points: Array, weights: Array) -> None:
    """Add the light of points to the four pixels around each of them."""
    corner = np.floor(points).astype(int)
    part = points - corner
    for dy in (0, 1):
        for dx in (0, 1):
            rows, cols = corner[:, 0] + dy, corner[:, 1] + dx
            share = np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1])
            is_inside = (np.minimum(rows, cols) >= 0) & (
                np.maximum(rows, cols) < len(image)
            )
            at = rows[is_inside], cols[is_inside]
            np.add.at(image, at, (share * weights)[is_inside])
