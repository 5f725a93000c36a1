"""Pixels of thin lines as a graph: neighbours, pieces between junctions, free ends."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array

_NO_PIXEL = -1


@dataclass(frozen=True)
class PixelGraph:
    """The n pixels of lines: rows, cols (n,); indices int32 (lines, pixels), -1 = none.

    neighbors: int32 (n, 8) indices of pixels, filled up with -1. degrees: (n,).
    pieces: int32 (n,), the piece between junctions, from 0; -1 at a junction. n_pieces.
    """

    rows: Array
    cols: Array
    indices: Array
    neighbors: Array
    degrees: Array
    pieces: Array
    n_pieces: int

    def __len__(self) -> int:
        return len(self.rows)

    def find_piece(self, row: float, col: float, reach_px: float = 6.0) -> Array:
        """Return the indices of the pixels of the piece nearest to a position.

        Empty where no piece is within reach.
        """
        away = np.hypot(self.rows - row, self.cols - col)
        away[self.pieces < 0] = np.inf
        if not len(away) or away.min() > reach_px:
            return np.zeros(0, np.int64)
        return np.nonzero(self.pieces == self.pieces[away.argmin()])[0]

    def cut_at(self, is_cut: Array) -> PixelGraph:
        """Return the graph with these pixels, bool (n,), as ends of pieces as well."""
        pieces = np.full(len(self), -1, np.int32)
        is_junction = (self.degrees > 2) | is_cut
        n_pieces = _label_pieces(self.neighbors, is_junction, pieces)
        return replace(self, pieces=pieces, n_pieces=n_pieces)

    def find_adjacent(self, bodies: Array) -> Array:
        """Return (n,) int32: the number of a body that each pixel borders, or 0.

        bodies: int32 (lines, pixels), number of the body or 0.
        """
        at_body = np.zeros(len(self), np.int32)
        _find_adjacent(self.rows, self.cols, bodies, at_body)
        return at_body


def build_pixel_graph(lines: Array) -> PixelGraph:
    """Return the graph of a bool image (lines, pixels) of thin lines."""
    rows, cols = np.nonzero(lines)
    indices = np.full(lines.shape, _NO_PIXEL, np.int32)
    indices[rows, cols] = np.arange(len(rows))
    neighbors = np.full((len(rows), 8), _NO_PIXEL, np.int32)
    degrees = np.zeros(len(rows), np.int32)
    _find_neighbors(rows, cols, indices, neighbors, degrees)
    pieces = np.full(len(rows), -1, np.int32)
    n_pieces = _label_pieces(neighbors, degrees > 2, pieces)
    return PixelGraph(rows, cols, indices, neighbors, degrees, pieces, n_pieces)


@jit_kernel
def _find_neighbors(
    rows: Array, cols: Array, indices: Array, neighbors: Array, degrees: Array
) -> None:
    for k in range(len(rows)):
        n = 0
        for y in range(max(0, rows[k] - 1), min(indices.shape[0], rows[k] + 2)):
            for x in range(max(0, cols[k] - 1), min(indices.shape[1], cols[k] + 2)):
                j = indices[y, x]
                if j >= 0 and j != k:
                    neighbors[k, n] = j
                    n += 1
        degrees[k] = n


@jit_kernel
def _label_pieces(neighbors: Array, is_junction: Array, pieces: Array) -> int:
    """Number the pieces of pixels that are no junctions."""
    n_pieces = 0
    stack = np.empty(len(pieces), np.int64)
    for k in range(len(pieces)):
        if pieces[k] >= 0 or is_junction[k]:
            continue
        pieces[k] = n_pieces
        stack[0] = k
        height = 1
        while height:
            height -= 1
            i = stack[height]
            for slot in range(8):
                j = neighbors[i, slot]
                if j < 0:
                    break
                if pieces[j] < 0 and not is_junction[j]:
                    pieces[j] = n_pieces
                    stack[height] = j
                    height += 1
        n_pieces += 1
    return n_pieces


@jit_kernel
def _find_adjacent(rows: Array, cols: Array, bodies: Array, at_body: Array) -> None:
    for k in range(len(rows)):
        for y in range(max(0, rows[k] - 1), min(bodies.shape[0], rows[k] + 2)):
            for x in range(max(0, cols[k] - 1), min(bodies.shape[1], cols[k] + 2)):
                if bodies[y, x]:
                    at_body[k] = bodies[y, x]
