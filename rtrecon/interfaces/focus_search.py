"""Searches for the sharpest plane with few images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rtrecon.core.types import Array

N_FOCUS_IMAGES = 9
FOCUS_RANGE_UM = 16.0  # around the plane where the search begins


def find_sharpest(take_image: Callable[[float], Array], start_um: float) -> float:
    """Return the height in um at which an image has the strongest edges.

    take_image: returns the image (lines, pixels) at a height. Takes `N_FOCUS_IMAGES`
    images at equal distances; between the best one and its neighbours, a parabola
    decides. Where all are equally sharp, the height stays.
    """
    heights_um = start_um + np.linspace(-0.5, 0.5, N_FOCUS_IMAGES) * FOCUS_RANGE_UM
    sharpness = np.array([measure_edges(take_image(float(z))) for z in heights_um])
    best = int(np.argmax(sharpness))
    if np.ptp(sharpness) <= 1e-9 * max(sharpness[best], 1.0):
        return start_um
    if not 0 < best < N_FOCUS_IMAGES - 1:
        return float(heights_um[best])
    below, peak, above = sharpness[best - 1 : best + 2]
    offset = 0.5 * (below - above) / (below - 2 * peak + above)
    return float(heights_um[best] + offset * (heights_um[1] - heights_um[0]))


def measure_edges(image: Array) -> float:
    """Return the mean square of the differences over two pixels, by brightness.

    Over two pixels, where noise counts no more than over one, and edges count more.
    """
    pixels = image.astype(np.float64)
    rows, cols = pixels[2:] - pixels[:-2], pixels[:, 2:] - pixels[:, :-2]
    brightness = max(float(pixels.mean()), 1.0)
    return float((np.mean(rows**2) + np.mean(cols**2)) / brightness**2)
