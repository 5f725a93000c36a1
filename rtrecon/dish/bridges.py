"""Bridges the gaps between pieces of neurites and the bodies that they belong to."""

from __future__ import annotations

import heapq

import numpy as np
from scipy.ndimage import label

from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array
from rtrecon.dish.spurs import EIGHT_NEIGHBORS

_N_ROUNDS = 4  # a chain of so many pieces can be joined
# Price of a pixel of a bridge: a good one, and one without any line strength.
_GOOD_PRICE, _POOR_PRICE = 1.5, 4.0


def bridge_gaps(
    lines: Array, is_body: Array, strength: Array, low: float, max_price: float
) -> Array:
    """Return bool (lines, pixels): the pixels of bridges from loose pieces.

    lines: bool, thin. strength: float32, of the line filter. low: strength from which a
    pixel is as good as any. max_price: of one bridge; a pixel without strength costs 4,
    a good one 1.5.
    """
    bridges = np.zeros(lines.shape, bool)
    for _ in range(_N_ROUNDS):
        labels, n_pieces = label(lines | is_body | bridges, EIGHT_NEIGHBORS)
        is_rooted = np.zeros(n_pieces + 1, bool)
        is_rooted[labels[is_body]] = True
        is_rooted[0] = True
        loose = np.nonzero(~is_rooted)[0]
        if not len(loose):
            break
        rows, cols = np.nonzero(lines & ~is_rooted[labels])
        order = np.argsort(labels[rows, cols], kind="stable")
        rows, cols = rows[order], cols[order]
        n_found = _bridge_pieces(
            labels, is_rooted, (rows, cols), strength, (low, max_price), bridges
        )
        if not n_found:
            break
    return bridges & ~lines & ~is_body


@jit_kernel
def _bridge_pieces(
    labels: Array,
    is_rooted: Array,
    pixels: tuple[Array, Array],
    strength: Array,
    limits: tuple[float, float],
    bridges: Array,
) -> int:
    """Join each loose piece with the nearest rooted one; return how many were joined.

    pixels: of loose pieces, those of one piece behind each other.
    """
    rows, cols = pixels
    low, max_price = limits
    n_rows, n_cols = labels.shape
    price = np.full(n_rows * n_cols, np.inf, np.float32)
    came_from = np.full(n_rows * n_cols, -1, np.int64)
    n_found, start = 0, 0
    while start < len(rows):
        piece = labels[rows[start], cols[start]]
        stop = start
        heap = [(np.float32(0), np.int64(0))]
        heap.pop()
        touched = [np.int64(0)]
        touched.pop()
        while stop < len(rows) and labels[rows[stop], cols[stop]] == piece:
            i = rows[stop] * n_cols + cols[stop]
            price[i] = 0
            heap.append((np.float32(0), i))
            touched.append(i)
            stop += 1
        end = np.int64(-1)
        while len(heap):
            cost, i = heapq.heappop(heap)
            if cost > price[i]:
                continue
            row, col = i // n_cols, i % n_cols
            here = labels[row, col]
            if here and here != piece and is_rooted[here]:
                end = i
                break
            for y in range(max(0, row - 1), min(n_rows, row + 2)):
                for x in range(max(0, col - 1), min(n_cols, col + 2)):
                    j = y * n_cols + x
                    step = np.float32(0.02)
                    if labels[y, x] == 0:
                        weak = min(1.0, max(0.0, (low - strength[y, x]) / low))
                        step = np.float32(_GOOD_PRICE + 2.5 * weak)
                    if y != row and x != col:
                        step *= np.float32(1.41421356)
                    total = cost + step
                    if total < price[j] and total <= max_price:
                        price[j] = total
                        came_from[j] = i
                        touched.append(j)
                        heapq.heappush(heap, (total, j))
        if end >= 0:
            n_found += 1
            i = came_from[end]
            while i >= 0 and price[i] > 0:
                bridges[i // n_cols, i % n_cols] = True
                i = came_from[i]
        for i in touched:
            price[i] = np.inf
            came_from[i] = -1
        start = stop
    return n_found
