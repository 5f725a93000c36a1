"""Lengths of thin lines on a grid of pixels."""

from __future__ import annotations

import numpy as np

from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array
from rtrecon.dish.pixel_graph import PixelGraph

# Estimates without bias for lines of any direction (Kulpa 1977).
_STRAIGHT_PX, _DIAGONAL_PX = 0.948, 1.340


def measure_lengths(graph: PixelGraph, groups: Array, n_groups: int) -> Array:
    """Return (n_groups,) lengths in px of the pixels of each group.

    groups: (n,) from 0; negative = in none. A step between two groups counts half for
    each; a diagonal beside two straight steps does not count.
    """
    lengths = np.zeros(n_groups)
    _add_steps(graph.rows, graph.cols, graph.neighbors, graph.indices, groups, lengths)
    return lengths


@jit_kernel
def _add_steps(
    rows: Array,
    cols: Array,
    neighbors: Array,
    indices: Array,
    groups: Array,
    lengths: Array,
) -> None:
    for k in range(len(rows)):
        for slot in range(8):
            j = neighbors[k, slot]
            if j < 0:
                break
            if j < k:
                continue
            step = _STRAIGHT_PX
            if rows[j] != rows[k] and cols[j] != cols[k]:
                step = _DIAGONAL_PX
                if indices[rows[j], cols[k]] >= 0 or indices[rows[k], cols[j]] >= 0:
                    continue
            if groups[k] >= 0:
                lengths[groups[k]] += step / 2
            if groups[j] >= 0:
                lengths[groups[j]] += step / 2
