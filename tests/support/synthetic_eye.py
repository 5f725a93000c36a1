"""Images of an eye with a known pupil: noise, lamp, eyelid, blink."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

SHAPE = (120, 160)
PUPIL_LEVEL, IRIS_LEVEL, FUR_LEVEL, LAMP_LEVEL = 30.0, 90.0, 150.0, 255.0


@dataclass(frozen=True)
class SyntheticEye:
    """What the camera sees.

    x, y, axes, angle: of the pupil, as in `pupil.Pupil`. lamp: x, y and radius of its
    reflection. lid_y: the eyelid covers everything above. noise: standard deviation.
    """

    x: float = 80.0
    y: float = 60.0
    axes: tuple[float, float] = (44.0, 36.0)
    angle: float = 0.4
    lamp: tuple[float, float, float] | None = None
    lid_y: float = -1.0
    noise: float = 3.0
    is_bright: bool = False

    def draw(self, seed: int = 0) -> np.ndarray:
        """Return uint8 (120, 160)."""
        rng = np.random.default_rng(seed)
        scale = 4  # drawn finer, so that edges lie between pixels
        y, x = np.mgrid[: SHAPE[0] * scale, : SHAPE[1] * scale]
        y, x = (y + 0.5) / scale - 0.5, (x + 0.5) / scale - 0.5
        image = np.full(x.shape, FUR_LEVEL)
        image += 25 * ndimage.gaussian_filter(rng.standard_normal(x.shape), 8) * 20
        image[((x - 80) / 64) ** 2 + ((y - 60) / 50) ** 2 <= 1] = IRIS_LEVEL
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        along = (x - self.x) * cosine + (y - self.y) * sine
        across = (y - self.y) * cosine - (x - self.x) * sine
        a, b = self.axes[0] / 2, self.axes[1] / 2
        level = 240.0 if self.is_bright else PUPIL_LEVEL
        image[(along / a) ** 2 + (across / b) ** 2 <= 1] = level
        if self.lamp is not None:
            lamp_x, lamp_y, radius = self.lamp
            image[np.hypot(x - lamp_x, y - lamp_y) <= radius] = LAMP_LEVEL
        image[y < self.lid_y] = FUR_LEVEL
        small = image.reshape(SHAPE[0], scale, SHAPE[1], scale).mean((1, 3))
        blurred = ndimage.gaussian_filter(small, 0.8)
        noisy = blurred + rng.normal(0, self.noise, SHAPE)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
