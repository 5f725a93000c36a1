"""Traces a real film: N1E-115 neuroblastoma, Lifeact-GFP, with nuclei beside.

Fusco et al., J Cell Biol 212:91 (2016); the nuclei, in another channel, are a truth for
the bodies that the tracing does not see. They were looked at when
the threshold of dim bodies was chosen. The neurites of two pictures were drawn by eye,
once and roughly; nothing was chosen on them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tifffile
from dish_scores import match_points
from scipy.ndimage import distance_transform_edt, gaussian_filter, maximum_filter, shift
from test_data import TEST_DATA

from rtrecon.config.dish import DishSettings
from rtrecon.core.types import Array
from rtrecon.dish.body_tracker import BodyTracker
from rtrecon.dish.dish_frame import LOOSE, DishFrame
from rtrecon.dish.flatten import flatten_image
from rtrecon.dish.tracker import DishTracker
from rtrecon.imaging.registration.film_registrar import FilmRegistrar

FOLDER = TEST_DATA / "dish" / "neuritetracker"
CELLS, NUCLEI = FOLDER / "cellbody_t01-30.tif", FOLDER / "nucleus_t01-30.tif"
SETTINGS = DishSettings(body_um=20.0, um_per_px=1.28, interval_s=720.0)
TRACES = Path(__file__).with_name("dish_traces.json")
_NUCLEUS_PX, _SURROUND_PX, _MIN_NUCLEUS, _BORDER_PX = 2.5, 9.0, 4.0, 8
_BODY_REACH_PX, _LINE_REACH_PX, _NUCLEUS_AREA_PX = 12.0, 3.0, 80.0


def measure_real_film() -> dict[str, float] | None:
    """Return the figures of the film; None if it is missing."""
    if not (CELLS.exists() and NUCLEI.exists()):
        return None
    cells, nuclei = tifffile.imread(CELLS), tifffile.imread(NUCLEI)
    tracker, registrar = DishTracker(SETTINGS), FilmRegistrar()
    nuclei_tracker = BodyTracker(16.0)
    traces = _load_traces()
    hits, links, lines = np.zeros(3), np.zeros(2), np.zeros(4)
    last: dict[int, int] = {}
    lengths = []
    for k, (image, red) in enumerate(zip(cells, nuclei, strict=True)):
        picture = registrar.register(image)
        frame = tracker.process_frame(picture.image, picture.is_valid)
        offset = -picture.shift.y_px, -picture.shift.x_px
        moved = shift(red.astype(np.float32), offset, order=1, mode="nearest")
        points = _find_nuclei(moved)
        numbers = nuclei_tracker.assign_numbers(k, _make_table(points))
        found = np.column_stack([frame.bodies["y"], frame.bodies["x"]])
        rows, cols = match_points(points, found, _BODY_REACH_PX)
        hits += (len(rows), len(points), len(found))
        for i, j in zip(numbers[rows], frame.bodies["number"][cols], strict=True):
            if i in last:
                links += (last[i] == j, 1)
            last[int(i)] = int(j)
        lengths.append(frame.figures.length_mm_per_mm2)
        if str(k) in traces:
            lines += _score_lines(frame, traces[str(k)], offset)
    figures = {
        "real_body_recall": hits[0] / hits[1],
        "real_body_precision": hits[0] / hits[2],
        "real_link": links[0] / links[1],
        "length_jump": float(np.median(np.abs(np.diff(lengths)) / lengths[:-1])),
    }
    if lines[1]:
        figures["real_precision"] = lines[0] / lines[1]
        figures["real_recall"] = lines[2] / lines[3]
    return {name: round(float(value), 4) for name, value in figures.items()}


def _load_traces() -> dict[str, list[list[list[float]]]]:
    """Return hand-drawn polylines (x, y) of pictures, by index; not registered."""
    if not TRACES.exists():
        return {}
    stored: dict[str, list[list[list[float]]]] = json.loads(TRACES.read_text())
    return stored


def _score_lines(
    frame: DishFrame, polylines: list[list[list[float]]], offset: tuple[float, float]
) -> Array:
    """Return hits and all of found pixels, hits and all of drawn pixels."""
    drawn: Array = np.zeros(frame.owners.shape, bool)
    for polyline in polylines:
        x, y = np.array(polyline, float).T
        steps = np.linspace(0, len(x) - 1, 60 * len(x))
        rows = np.rint(np.interp(steps, np.arange(len(x)), y) + offset[0]).astype(int)
        cols = np.rint(np.interp(steps, np.arange(len(x)), x) + offset[1]).astype(int)
        is_inside = (rows >= 0) & (cols >= 0) & (rows < drawn.shape[0])
        is_inside &= cols < drawn.shape[1]
        drawn[rows[is_inside], cols[is_inside]] = True
    drawn &= frame.is_claimed & ~frame.is_body
    found = (frame.owners > 0) & (frame.owners != LOOSE) & ~frame.is_body
    near_drawn = distance_transform_edt(~drawn) <= _LINE_REACH_PX
    near_found = distance_transform_edt(~found) <= _LINE_REACH_PX
    return np.array(
        [
            (found & near_drawn).sum(),
            found.sum(),
            (drawn & near_found).sum(),
            drawn.sum(),
        ]
    )


def _find_nuclei(red: Array) -> Array:
    """Return (n, 2) centers of bright spots of the size of a nucleus."""
    flat = flatten_image(red)
    spots = gaussian_filter(flat, _NUCLEUS_PX) - gaussian_filter(flat, _SURROUND_PX)
    is_peak = (spots == maximum_filter(spots, 9)) & (spots > _MIN_NUCLEUS)
    points = np.argwhere(is_peak)
    last = np.array(red.shape) - _BORDER_PX
    is_inside = ((points > _BORDER_PX) & (points < last)).all(1)
    return points[is_inside].astype(float)


def _make_table(points: Array) -> Array:
    names = ("y", "x", "area", "brightness", "depth")
    table = np.zeros(len(points), [(name, float) for name in names])
    table["y"], table["x"] = points.T
    table["area"] = _NUCLEUS_AREA_PX
    return table
