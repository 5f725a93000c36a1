"""Removes from thin lines what is no neurite: short spurs, short and crooked pieces."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array
from rtrecon.dish.image_filters import dilate_square

_N_ROUNDS = 2  # a spur may end in a fork
EIGHT_NEIGHBORS = np.ones((3, 3), np.int8)


def remove_spurs(lines: Array, is_body: Array, max_spur_px: int) -> None:
    """Remove free ends that are shorter than this from a junction, in place.

    A short piece that reaches a body stays.
    """
    for _ in range(_N_ROUNDS):
        _remove_spurs(lines, is_body, max_spur_px)


def remove_short_pieces(lines: Array, is_body: Array, min_piece_px: int) -> None:
    """Remove pieces of few pixels that hang on nothing, in place."""
    labels, n_pieces = label(lines | is_body, EIGHT_NEIGHBORS)
    at = np.nonzero(lines)
    sizes = np.bincount(labels[at], minlength=n_pieces + 1)
    has_body = np.zeros(n_pieces + 1, bool)
    has_body[labels[is_body]] = True
    is_short = (sizes < min_piece_px) & ~has_body
    lines[at] = ~is_short[labels[at]]


def trim_ends(lines: Array, is_body: Array, n_px: int) -> None:
    """Shorten free ends by some pixels, in place: growth cones are no neurites.

    An end at a body is not free.
    """
    at_body = dilate_square(is_body, 1)
    for _ in range(n_px):
        rows, cols = np.nonzero(lines & ~at_body)
        is_end = np.zeros(len(rows), bool)
        _find_ends(lines, rows, cols, is_end)
        lines[rows[is_end], cols[is_end]] = False


@jit_kernel
def _find_ends(lines: Array, rows: Array, cols: Array, is_end: Array) -> None:
    for k in range(len(rows)):
        is_end[k] = count_neighbors(lines, rows[k], cols[k]) <= 1


@jit_kernel
def count_neighbors(lines: Array, row: int, col: int) -> int:
    """Return how many of the eight neighbours are set; the border has fewer."""
    n = 0
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            y, x = row + dy, col + dx
            if (dy or dx) and 0 <= y < lines.shape[0] and 0 <= x < lines.shape[1]:
                n += lines[y, x]
    return n


@jit_kernel
def _remove_spurs(lines: Array, is_body: Array, max_spur_px: int) -> None:
    rows, cols = np.nonzero(lines)
    path = np.empty((max_spur_px + 2, 2), np.int64)
    for k in range(len(rows)):
        row, col = rows[k], cols[k]
        if not lines[row, col] or count_neighbors(lines, row, col) != 1:
            continue
        n, last_row, last_col, is_spur = 0, -9, -9, False
        while n <= max_spur_px:
            path[n, 0], path[n, 1] = row, col
            n += 1
            next_row, next_col, n_next, at_body = -1, -1, 0, False
            for y in range(max(0, row - 1), min(lines.shape[0], row + 2)):
                for x in range(max(0, col - 1), min(lines.shape[1], col + 2)):
                    if is_body[y, x]:
                        at_body = True
                    if not lines[y, x] or (y == row and x == col):
                        continue
                    if y == last_row and x == last_col:
                        continue
                    n_next += 1
                    next_row, next_col = y, x
            if at_body:
                break
            if n_next != 1:
                is_spur = n_next > 1
                break
            last_row, last_col, row, col = row, col, next_row, next_col
        if is_spur and n <= max_spur_px:
            for j in range(n - 1):
                lines[path[j, 0], path[j, 1]] = False
