"""Natural-like movies: the dead leaves model, viewed by a moving eye.

Leaves of power-law size that occlude one another give the edges, occlusions and 1/f^2
spectrum of natural scenes (Ruderman 1997; Lee, Mumford & Huang 2001). Two layers pan,
zoom and move relative to each other. Every few seconds the scene changes.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

from rtrecon.core.types import Array
from rtrecon.simulate.movie_kernels import paint_leaf, view_wrapped
from rtrecon.stimulus_space.video import VIDEO

SHAPE = VIDEO.shape  # height, width in px
RATE_HZ = 30.0
MEAN_GRAY, SD_GRAY = 80.0, 57.0  # of those recordings, gray levels
_CANVAS_PX = 160  # per side; the canvas wraps around
_N_LEAVES = 420
_RADII_PX = (3.0, 60.0)


def make_natural_movie(n_frames: int, seed: int, clip_frames: int = 150) -> Array:
    """Return uint8 (n_frames, 36, 64): independent clips of `clip_frames` each."""
    rng = np.random.default_rng(seed)
    starts = range(0, n_frames, clip_frames)
    clips = [_make_clip(min(clip_frames, n_frames - start), rng) for start in starts]
    return np.concatenate(clips)


def _make_clip(n_frames: int, rng: np.random.Generator) -> Array:
    back, _ = _draw_leaves(rng, cover=1.0)
    front, alpha = _draw_leaves(rng, cover=0.12)
    at_back = _start_anywhere(simulate_camera_path(n_frames, rng, speed_px=0.22), rng)
    moved = _start_anywhere(simulate_camera_path(n_frames, rng, speed_px=0.35), rng)
    at_front = at_back + moved
    opaque = view_canvas(alpha, at_front)
    scene = (1 - opaque) * view_canvas(back, at_back) + opaque * view_canvas(
        front, at_front
    )
    return _scale_to_gray(scene, rng)


def _draw_leaves(rng: np.random.Generator, cover: float) -> tuple[Array, Array]:
    """Return (texture, alpha), both (canvas, canvas) float32."""
    canvas = np.zeros((_CANVAS_PX, _CANVAS_PX), np.float32)
    alpha = np.zeros_like(canvas)
    small, large = _RADII_PX
    radii = small / np.sqrt(1 - rng.random(_N_LEAVES) * (1 - (small / large) ** 2))
    for radius in radii[: max(3, int(cover * _N_LEAVES))]:
        _paint_leaf(canvas, alpha, radius, rng)
    return canvas, alpha


def _paint_leaf(
    canvas: Array, alpha: Array, radius: float, rng: np.random.Generator
) -> None:
    center_y, center_x = rng.integers(0, _CANVAS_PX, 2)
    angle, squeeze = rng.uniform(0, np.pi), rng.uniform(0.4, 1.0)
    slope = rng.normal(0, 0.35)  # light falls from one side
    frequency, phase = rng.uniform(0.2, 1.6), rng.uniform(0, 6.28)
    shade = rng.normal(), slope, rng.random(), frequency, phase
    paint_leaf(
        canvas, alpha, (center_y, center_x), (float(radius), angle, squeeze), shade
    )


def simulate_camera_path(
    n_frames: int, rng: np.random.Generator, speed_px: float
) -> Array:
    """Return (n_frames, 3): pan y and x in px, log zoom; smooth, with saccades.

    It begins near 0. speed_px: per frame.
    """
    drift = gaussian_filter1d(
        rng.normal(size=(n_frames, 3)), 12, axis=0, mode="reflect"
    )
    drift = drift / drift.std() * np.array([speed_px, 1.6 * speed_px, 0.004])
    jumps = (rng.random(n_frames) < 1 / 75)[:, None] * rng.normal(0, 6, (n_frames, 3))
    jumps[:, 2] = 0
    return np.asarray(np.cumsum(drift + jumps, axis=0))


def _start_anywhere(path: Array, rng: np.random.Generator) -> Array:
    path[:, :2] += rng.uniform(0, _CANVAS_PX, 2)
    return path


def view_canvas(canvas: Array, camera: Array, borders: str = "grid-wrap") -> Array:
    """Return (n_frames, 36, 64) float32: the canvas as the moving camera views it.

    camera (n_frames, 3): of `simulate_camera_path`, the middle of the view. borders:
    what lies beyond the canvas, a mode of `scipy.ndimage.map_coordinates`.
    """
    zoom = np.exp(camera[:, 2])
    if borders == "grid-wrap":
        view = np.empty((len(camera), *SHAPE), np.float32)
        view_wrapped(canvas, np.column_stack([camera[:, :2], zoom]), view)
        return view
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float32)
    y, x = y - y.mean(), x - x.mean()
    zoom = zoom[:, None, None]
    at = [y * zoom + camera[:, 0, None, None], x * zoom + camera[:, 1, None, None]]
    return map_coordinates(canvas, at, order=1, mode=borders, output=np.float32)


def _scale_to_gray(scene: Array, rng: np.random.Generator) -> Array:
    contrast = SD_GRAY * rng.uniform(0.7, 1.15)
    gray = (scene - scene.mean()) / (scene.std() + 1e-6) * contrast
    gray += MEAN_GRAY + 20 * rng.normal()
    return np.clip(gray, 0, 255).astype(np.uint8)


def repeat_frames(frames: Array, n_frames: int) -> Array:
    """Return `n_frames` frames (T, ...): the given ones again and again, cut."""
    return np.resize(frames, (n_frames, *frames.shape[1:]))
