"""Where pixels of a flat screen lie in visual angle, and pictures drawn in angles.

The screen is perpendicular to the line from the eye to its middle. Azimuth is the angle
to the right, elevation the angle above the horizontal plane: a point at (x, y) cm of a
screen at d cm has azimuth atan(x / d) and elevation atan(y / sqrt(d^2 + x^2)) (Marshel
et al. 2012, Neuron 73:830, figure S1, spherical correction).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array


@dataclass(frozen=True)
class FlatScreen:
    """A stimulus of width x height cm, at distance_cm from the eye."""

    width_cm: float
    height_cm: float
    distance_cm: float

    def find_angles(self, shape: tuple[int, int]) -> tuple[Array, Array]:
        """Return azimuth and elevation in degrees, each (lines, pixels).

        shape: lines and pixels of a picture that fills the stimulus; row 0 is its top.
        """
        lines, pixels = shape
        x = (np.arange(pixels) + 0.5) / pixels * self.width_cm - self.width_cm / 2
        y = self.height_cm / 2 - (np.arange(lines) + 0.5) / lines * self.height_cm
        x, y = np.meshgrid(x, y)
        azimuth = np.arctan2(x, self.distance_cm)
        elevation = np.arctan2(y, np.hypot(self.distance_cm, x))
        return np.degrees(azimuth), np.degrees(elevation)

    def degrees_per_pixel(self, shape: tuple[int, int]) -> tuple[float, float]:
        """Return degrees per line and per pixel, in the middle of the screen.

        Towards the edges of a flat screen, a pixel is fewer degrees.
        """
        lines, pixels = shape
        sizes_cm = self.height_cm / lines, self.width_cm / pixels
        down, across = (
            float(np.degrees(2 * np.arctan(size_cm / 2 / self.distance_cm)))
            for size_cm in sizes_cm
        )
        return down, across


def warp_to_flat_screen(pictures: Array, screen: FlatScreen) -> Array:
    """Return pictures to show on a flat screen, so that the eye sees them in angles.

    pictures: uint8 (..., lines, pixels), whose lines are equally spaced in elevation
    and whose pixels are equally spaced in azimuth; they span the angles of the screen's
    horizontal and vertical middle lines. Nearest pixel; same shape and type.
    """
    lines, pixels = pictures.shape[-2:]
    azimuth, elevation = screen.find_angles((lines, pixels))
    reach_x = np.degrees(np.arctan(screen.width_cm / 2 / screen.distance_cm))
    reach_y = np.degrees(np.arctan(screen.height_cm / 2 / screen.distance_cm))
    column = np.floor((azimuth / reach_x + 1) / 2 * pixels).astype(int)
    row = np.floor((1 - elevation / reach_y) / 2 * lines).astype(int)
    return np.asarray(pictures[..., row.clip(0, lines - 1), column.clip(0, pixels - 1)])
