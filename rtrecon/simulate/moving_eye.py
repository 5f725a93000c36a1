"""Photographs as a moving eye sees them: drift, saccades, and slow zoom."""

from __future__ import annotations

import numpy as np

from rtrecon.core.types import Array
from rtrecon.simulate.movie import SHAPE, simulate_camera_path, view_canvas
from rtrecon.sources.video import resize_picture

_SPEED_PX = 0.3  # per frame; as the scenes of `make_natural_movie` move
_VIEWED_SHARE = (0.3, 0.8)  # of the picture's height or width, at the start


def view_picture(picture: Array, n_frames: int, rng: np.random.Generator) -> Array:
    """Return uint8 (n_frames, 36, 64): a gray picture seen by a moving eye.

    The eye begins in the middle half of the picture. Beyond its borders lies its mirror
    image.
    """
    size = np.array(picture.shape)
    view = rng.uniform(*_VIEWED_SHARE) * (size / SHAPE).min()
    height, width = np.maximum(np.rint(size / view), SHAPE).astype(int).tolist()
    canvas = resize_picture(picture, (height, width)).astype(np.float32)
    camera = simulate_camera_path(n_frames, rng, _SPEED_PX)
    camera[:, :2] += rng.uniform(0.25, 0.75, 2) * canvas.shape
    seen = view_canvas(canvas, camera, borders="mirror")
    return np.clip(np.rint(seen), 0, 255).astype(np.uint8)
