"""Draws what was traced over a picture of a dish."""

from __future__ import annotations

import numpy as np

from rtrecon.analysis.dish.digits import draw_number
from rtrecon.core.neuron_colors import make_colors
from rtrecon.core.types import Array
from rtrecon.dish.dish_frame import LOOSE, DishFrame

_PERCENTILES, _GAMMA = (1, 99.8), 0.5
_BLACK, _GRAY = np.zeros(3, np.uint8), np.full(3, 150, np.uint8)
_RED = np.array((255, 60, 60), np.uint8)
_RING_PX, _HATCH_PX = 7, 8


def stretch_contrast(image: Array) -> Array:
    """Return a picture as uint8 (lines, pixels), faint neurites visible."""
    low, high = np.percentile(image, _PERCENTILES)
    part = ((image - low) / max(high - low, 1e-9)).clip(0, 1) ** _GAMMA
    return np.rint(255 * part).astype(np.uint8)


def draw_overlay(image: Array, frame: DishFrame) -> Array:
    """Return uint8 (lines, pixels, 3): the picture with all that was traced.

    Neurites have their owner's colour, loose ones are gray. A filled ring is a
    confirmed touch, a thin one a provisional touch. What is not claimed is hatched.
    """
    picture = np.repeat(stretch_contrast(image)[..., None], 3, axis=2)
    if frame.is_traced:
        is_line = (frame.owners > 0) & ~frame.is_body
        colors = make_colors(int(frame.bodies["number"].max(initial=0)))
        owners = frame.owners[is_line]
        shown = np.where(owners < len(colors), owners, 0)
        picture[is_line] = np.where((owners == LOOSE)[:, None], _GRAY, colors[shown])
    picture[_find_hatched(frame)] //= 2
    for contact in frame.contacts if frame.is_traced else ():
        width_px = 1.6 if contact["is_confirmed"] else 0.6
        _draw_ring(picture, contact["y"], contact["x"], width_px)
    for body in frame.bodies if frame.is_traced else ():
        y, x = round(body["y"]) - 2, round(body["x"]) - 2
        draw_number(picture, int(body["number"]), y, x, _BLACK)
    return picture


def _find_hatched(frame: DishFrame) -> Array:
    """Return bool (lines, pixels): stripes where nothing is claimed."""
    rows, cols = _index_pixels(frame.is_claimed)
    stripes = (rows + cols) % _HATCH_PX < _HATCH_PX // 4
    return np.asarray(stripes & ~frame.is_claimed)


def _draw_ring(picture: Array, y: float, x: float, width_px: float) -> None:
    reach = _RING_PX + 2
    top, left = max(0, round(y) - reach), max(0, round(x) - reach)
    window = picture[top : round(y) + reach + 1, left : round(x) + reach + 1]
    rows, cols = _index_pixels(window)
    away = np.hypot(rows + top - y, cols + left - x)
    window[np.abs(away - _RING_PX) < width_px] = _RED


def _index_pixels(image: Array) -> tuple[Array, Array]:
    """Return the row of each line, (lines, 1), and the column of each pixel."""
    return np.arange(image.shape[0])[:, None], np.arange(image.shape[1])
