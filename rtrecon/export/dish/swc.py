"""Neurons of a traced dish as SWC files: a tree of points in um, per neuron."""

from __future__ import annotations

import heapq
from pathlib import Path

import numpy as np

from rtrecon.core.files import write_atomically
from rtrecon.core.types import Array
from rtrecon.dish.dish_frame import DishFrame

_SOMA, _NEURITE = 1, 7  # types of SWC; 7 = a neurite that is neither axon nor dendrite
_NEURITE_RADIUS_UM = 0.5  # the width of a neurite is not measured
_REACH_PX = 3  # between a body and its neurite, and over a crossing


def write_swc_files(folder: Path, frame: DishFrame, um_per_px: float) -> list[Path]:
    """Write one file per neuron of a whole frame into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for body in frame.bodies:
        number = int(body["number"])
        path = folder / f"neuron_{number:03d}_frame_{frame.frame:04d}.swc"
        write_atomically(path, format_swc(frame, number, um_per_px))
        paths.append(path)
    return paths


def format_swc(frame: DishFrame, number: int, um_per_px: float) -> str:
    """Return the SWC text of one neuron: the body first, then its neurites.

    Each pixel of a neurite is a point; y grows downwards as in the picture, and z is 0.
    Loops are opened, because SWC has none.
    """
    (body,) = frame.bodies[frame.bodies["number"] == number]
    radius_um = float(np.sqrt(body["area_um2"] / np.pi))
    center = body["y"] * um_per_px, body["x"] * um_per_px
    rows = [(1, _SOMA, center[1], center[0], 0.0, radius_um, -1)]
    for k, (y, x, parent) in enumerate(_grow_tree(frame, number), start=2):
        at = x * um_per_px, y * um_per_px
        rows.append((k, _NEURITE, *at, 0.0, _NEURITE_RADIUS_UM, parent))
    lines = [" ".join(f"{value:.6g}" for value in row) for row in rows]
    head = (
        f"# neuron {number}, frame {frame.frame}, um\n# id type x y z radius parent\n"
    )
    return head + "\n".join(lines) + "\n"


def _grow_tree(frame: DishFrame, number: int) -> list[tuple[int, int, int]]:
    """Return (y, x, parent) of the neurites' pixels, the nearest to the body first.

    The parent counts points from 1, the body.
    """
    is_own = frame.owners == number
    left = _list_pixels(is_own & ~frame.is_body)
    heap = [(0, pixel, 1) for pixel in _list_pixels(is_own & frame.is_body)]
    heapq.heapify(heap)
    steps = _list_steps()
    done: dict[tuple[int, int], int] = {}
    tree: list[tuple[int, int, int]] = []
    while heap:
        price, pixel, parent = heapq.heappop(heap)
        if pixel in done:
            continue
        done[pixel] = parent
        if pixel in left:
            tree.append((*pixel, parent))
            parent = len(tree) + 1
        for dy, dx in steps:
            neighbor = (pixel[0] + dy, pixel[1] + dx)
            if neighbor in left and neighbor not in done:
                # The square makes two short steps cheaper than a long one.
                heapq.heappush(heap, (price + dy**2 + dx**2, neighbor, parent))
    return tree


def _list_pixels(mask: Array) -> set[tuple[int, int]]:
    rows, cols = np.nonzero(mask)
    return set(zip(rows.tolist(), cols.tolist(), strict=True))


def _list_steps() -> list[tuple[int, int]]:
    """Return the steps (y, x) to all pixels within reach."""
    reach = range(-_REACH_PX, _REACH_PX + 1)
    return [(dy, dx) for dy in reach for dx in reach if dy or dx]
