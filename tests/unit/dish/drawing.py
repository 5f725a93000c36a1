"""Pictures of a dish with a known answer: bodies are discs, neurites are lines."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from rtrecon.config.dish import DishSettings
from rtrecon.core.types import Array

SETTINGS = DishSettings(body_um=12.0, um_per_px=0.8, interval_s=600.0)
SIDE_PX = 160


class Drawing:
    """A picture of bodies and neurites, in counts of a camera."""

    def __init__(self, side_px: int = SIDE_PX) -> None:
        self._bodies = np.zeros((side_px, side_px))
        self._lines = np.zeros((side_px, side_px))

    def add_body(self, y: float, x: float, radius_px: float = 7.0) -> Drawing:
        """Draw a disc."""
        rows, cols = np.indices(self._bodies.shape)
        self._bodies[np.hypot(rows - y, cols - x) <= radius_px] = 1.0
        return self

    def add_neurite(
        self, start: tuple[float, float], end: tuple[float, float]
    ) -> Drawing:
        """Draw a line, as bright as a neurite of these bodies."""
        n_points = 4 * int(np.hypot(end[0] - start[0], end[1] - start[1])) + 1
        rows = np.rint(np.linspace(start[0], end[0], n_points)).astype(int)
        cols = np.rint(np.linspace(start[1], end[1], n_points)).astype(int)
        self._lines[rows, cols] = 0.6
        return self

    def render(self, seed: int = 0) -> Array:
        """Return the picture with the noise of photons, uint16."""
        rng = np.random.default_rng(seed)
        light = gaussian_filter(self._lines, 1.2) + gaussian_filter(self._bodies, 0.7)
        photons = rng.poisson(60 + 260 * light)
        return (100 + 2 * photons).astype(np.uint16)


def draw_pair(gap_px: int = 0) -> Drawing:
    """Draw two neurons; the neurite of the first ends before the other's neurite."""
    drawing = Drawing().add_body(80, 30).add_body(40, 120)
    drawing.add_neurite((40, 120), (130, 120))
    return drawing.add_neurite((80, 30), (80, 119 - gap_px))
