"""Thins a mask of neurites to lines that are one pixel wide."""

from __future__ import annotations

import numpy as np

from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array

EMPTY, NEURITE, BODY = 0, 1, 2


def thin_mask(mask: Array) -> Array:
    """Return bool (lines, pixels): the middle lines of neurites, without bodies.

    mask: uint8; 0 empty, 1 neurite, 2 body. Bodies stay whole while the lines get thin
    (Zhang and Suen 1984), so that a neurite still reaches its body afterwards. A last
    pass removes corners: each pixel of a line then has two neighbours.
    """
    framed = np.pad(mask, 1)
    _thin(framed)
    return framed[1:-1, 1:-1] == NEURITE


@jit_kernel
def _thin(mask: Array) -> None:
    rows, cols = np.nonzero(mask == 1)
    n = len(rows)
    doomed = np.empty(n, np.int64)
    changed = True
    while changed and n:
        changed = False
        for half in range(2):
            n_doomed = 0
            for k in range(n):
                if _is_removable(mask, rows[k], cols[k], half):
                    doomed[n_doomed] = k
                    n_doomed += 1
            for k in range(n_doomed):
                mask[rows[doomed[k]], cols[doomed[k]]] = 0
            if n_doomed:
                changed = True
                kept = 0
                for k in range(n):
                    if mask[rows[k], cols[k]]:
                        rows[kept] = rows[k]
                        cols[kept] = cols[k]
                        kept += 1
                n = kept
    for k in range(n):
        if _is_corner(mask, rows[k], cols[k]):
            mask[rows[k], cols[k]] = 0


@jit_kernel
def _is_removable(mask: Array, row: int, col: int, half: int) -> bool:
    north = mask[row - 1, col] > 0
    east = mask[row, col + 1] > 0
    south = mask[row + 1, col] > 0
    west = mask[row, col - 1] > 0
    if half == 0 and ((north and east and south) or (east and south and west)):
        return False
    if half == 1 and ((north and east and west) or (north and south and west)):
        return False
    north_east = mask[row - 1, col + 1] > 0
    south_east = mask[row + 1, col + 1] > 0
    south_west = mask[row + 1, col - 1] > 0
    north_west = mask[row - 1, col - 1] > 0
    n_neighbors = 0 + north + east + south + west
    n_neighbors += 0 + north_east + south_east + south_west + north_west
    if n_neighbors < 2 or n_neighbors > 6:
        return False
    n_rises = 0
    n_rises += (not north) and north_east
    n_rises += (not north_east) and east
    n_rises += (not east) and south_east
    n_rises += (not south_east) and south
    n_rises += (not south) and south_west
    n_rises += (not south_west) and west
    n_rises += (not west) and north_west
    n_rises += (not north_west) and north
    return n_rises == 1


@jit_kernel
def _is_corner(mask: Array, row: int, col: int) -> bool:
    """Return whether the neighbours stay connected without this pixel, and are two+."""
    north = mask[row - 1, col] > 0
    east = mask[row, col + 1] > 0
    south = mask[row + 1, col] > 0
    west = mask[row, col - 1] > 0
    north_east = mask[row - 1, col + 1] > 0
    south_east = mask[row + 1, col + 1] > 0
    south_west = mask[row + 1, col - 1] > 0
    north_west = mask[row - 1, col - 1] > 0
    n_neighbors = 0 + north + east + south + west
    n_neighbors += 0 + north_east + south_east + south_west + north_west
    if n_neighbors < 2:
        return False
    # Components of the neighbours, each connected by sides or by corners.
    crossings = 0
    crossings += (not north) and (north_east or east)
    crossings += (not east) and (south_east or south)
    crossings += (not south) and (south_west or west)
    crossings += (not west) and (north_west or north)
    return crossings == 1
