"""Assigns each pixel of a neurite to a neuron, with what earlier frames tell.

A pixel belongs to whom it belonged, as long as it reaches its body over pixels of the
same owner; it is let go late. New pixels are grown from tips first, elsewhere with a
handicap, and never through a body. A piece between junctions has one owner.
"""

from __future__ import annotations

import heapq

import numpy as np

from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array
from rtrecon.dish.owner_memory import PINNED, OwnerMemory
from rtrecon.dish.pixel_graph import PixelGraph

_TIP_HANDICAP_PX, _TIP_REACH_PX = 12.0, 8
_GAP_PX = 5  # of another owner's pixels, over which an owner still reaches its body
_HOLD_FRAMES = 5
# A neurite that goes on below a body: cosine of its turn, least way, range over which
# its heading is measured, and its handicap.
_MIN_STRAIGHT, _MIN_WAY_PX, _HEADING_PX, _BELOW_BODY_PX = 0.8, 5.0, 9, 3.0
# A part of a piece keeps its own owner if it is longer than both.
_MIN_PART_PX, _MIN_PART_SHARE = 14, 0.15


def assign_owners(
    graph: PixelGraph, bodies: Array, memory: OwnerMemory, tips: Array
) -> tuple[Array, Array]:
    """Return (n,) int32 owners of the graph's pixels, 0 = none, and their misses.

    bodies: int32 (lines, pixels), the number of the body or 0. tips: (m, 3) y, x, owner
    of the frame before: free ends and touches.
    """
    remembered, misses = memory.recall(graph.rows, graph.cols)
    is_present = np.zeros(max(bodies.max(), remembered.max(initial=0)) + 1, bool)
    is_present[np.unique(bodies)] = True
    is_present[0] = False
    remembered[~is_present[remembered]] = 0
    at_body = graph.find_adjacent(bodies)
    is_rooted = _find_rooted(graph, bodies, remembered, at_body)
    is_pinned = misses == PINNED
    misses = np.where((remembered > 0) & ~is_rooted, misses + 1, 0).astype(np.int16)
    misses[is_pinned] = PINNED
    seeds = np.where(misses < _HOLD_FRAMES, remembered, 0).astype(np.int32)
    starts = np.full(len(graph), _TIP_HANDICAP_PX)
    is_at_tip = _find_pixels_at_tips(graph, seeds, tips)
    starts[is_at_tip] = 0
    owners = np.zeros(len(graph), np.int32)
    handicap_px = _TIP_HANDICAP_PX if remembered.any() else 0.0
    stems = _find_stems(graph, seeds, bodies, at_body)
    starts[stems != at_body] = _BELOW_BODY_PX
    starts[(stems == at_body) & (seeds == 0)] = handicap_px
    _grow_owners(graph.neighbors, seeds, starts, stems, owners)
    _unify_pieces(graph, owners, at_body > 0)
    return owners, misses


def _find_pixels_at_tips(graph: PixelGraph, owners: Array, tips: Array) -> Array:
    """Return bool (n,): pixels within 6 px of a tip of the same owner."""
    is_at_tip = np.zeros(len(graph), bool)
    for y, x, owner in tips.tolist():
        top, left = max(0, round(y) - _TIP_REACH_PX), max(0, round(x) - _TIP_REACH_PX)
        window = graph.indices[
            top : round(y) + _TIP_REACH_PX + 1, left : round(x) + _TIP_REACH_PX + 1
        ]
        near = window[window >= 0]
        is_at_tip[near[owners[near] == owner]] = True
    return is_at_tip


def _find_rooted(
    graph: PixelGraph, bodies: Array, owners: Array, at_body: Array
) -> Array:
    """Return bool (n,): pixels that reach the body of their owner.

    The way leads over pixels of the same owner, over short gaps, and below bodies of
    other neurons.
    """
    is_rooted = np.zeros(len(graph), bool)
    at = graph.rows, graph.cols
    _mark_at_own_body(at, bodies, owners, is_rooted)
    n_numbers = int(max(owners.max(initial=0), at_body.max(initial=0))) + 1
    is_visitor = (at_body > 0) & (at_body != owners)
    crossings = np.where(is_visitor, at_body.astype(np.int64) * n_numbers + owners, 0)
    n_rooted = -1
    while n_rooted < is_rooted.sum():
        n_rooted = is_rooted.sum()
        _mark_connected(at, graph.indices, owners, is_rooted)
        passed = np.unique(crossings[is_rooted & (owners > 0)])
        is_rooted |= (owners > 0) & np.isin(crossings, passed[passed > 0])
    return is_rooted


@jit_kernel
def _mark_at_own_body(
    at: tuple[Array, Array], bodies: Array, owners: Array, is_rooted: Array
) -> None:
    rows, cols = at
    n_rows, n_cols = bodies.shape
    for k in range(len(rows)):
        if owners[k] == 0:
            continue
        for y in range(max(0, rows[k] - _GAP_PX), min(n_rows, rows[k] + _GAP_PX + 1)):
            for x in range(
                max(0, cols[k] - _GAP_PX), min(n_cols, cols[k] + _GAP_PX + 1)
            ):
                if bodies[y, x] == owners[k]:
                    is_rooted[k] = True


@jit_kernel
def _mark_connected(
    at: tuple[Array, Array], indices: Array, owners: Array, is_rooted: Array
) -> None:
    """Mark pixels that reach a marked one over pixels of their owner and short gaps."""
    rows, cols = at
    n_rows, n_cols = indices.shape
    stack = np.empty(len(rows), np.int64)
    height = 0
    for k in range(len(rows)):
        if is_rooted[k]:
            stack[height] = k
            height += 1
    reach = 2 * _GAP_PX
    while height:
        height -= 1
        k = stack[height]
        for y in range(max(0, rows[k] - reach), min(n_rows, rows[k] + reach + 1)):
            for x in range(max(0, cols[k] - reach), min(n_cols, cols[k] + reach + 1)):
                j = indices[y, x]
                if j >= 0 and not is_rooted[j] and owners[j] == owners[k]:
                    is_rooted[j] = True
                    stack[height] = j
                    height += 1


def _find_stems(
    graph: PixelGraph, seeds: Array, bodies: Array, at_body: Array
) -> Array:
    """Return (n,) who owns each pixel at a body that has no owner yet; 0 elsewhere.

    It is the body's own neuron, unless a neurite of another one reaches the body on the
    other side and would come out here if it went on straight below the body.
    """
    stems = np.where(seeds == 0, at_body, 0)
    visitors = np.nonzero((seeds > 0) & (at_body > 0) & (seeds != at_body))[0]
    new = np.nonzero(stems)[0]
    if not len(visitors) or not len(new):
        return stems
    entries = np.column_stack([graph.rows[visitors], graph.cols[visitors]])
    exits = np.column_stack([graph.rows[new], graph.cols[new]])
    headings = np.array([_find_heading(graph, seeds, k) for k in visitors.tolist()])
    ways = exits[None] - entries[:, None]
    lengths = np.hypot(ways[..., 0], ways[..., 1])
    ahead = (ways * headings[:, None]).sum(2)
    is_straight = ahead > _MIN_STRAIGHT * np.maximum(lengths, 1e-9)
    is_same_body = at_body[visitors][:, None] == at_body[new]
    is_way = is_straight & is_same_body & (lengths > _MIN_WAY_PX)
    score = np.where(is_way, ahead / np.maximum(lengths, 1e-9), 0)
    best = score.argmax(0)
    is_visitor = score.max(0) > 0
    stems[new[is_visitor]] = seeds[visitors[best[is_visitor]]]
    return stems


def _find_heading(graph: PixelGraph, owners: Array, pixel: int) -> Array:
    """Return the unit vector (y, x) in which a neurite arrives at a pixel."""
    row, col = graph.rows[pixel], graph.cols[pixel]
    reach = _HEADING_PX
    window = graph.indices[
        max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1
    ]
    near = window[window >= 0]
    near = near[owners[near] == owners[pixel]]
    way = np.array([row - graph.rows[near].mean(), col - graph.cols[near].mean()])
    return way / max(float(np.hypot(*way)), 1e-9)


@jit_kernel
def _grow_owners(
    neighbors: Array,
    seeds: Array,
    starts: Array,
    stems: Array,
    owners: Array,
) -> None:
    """Give each pixel the owner whose seed reaches it over the shortest way.

    seeds: (n,) owners that are certain, or 0. stems: (n,) owners at bodies, or 0.
    starts: (n,) price of both. A neurite that grows from a cheap tip may pass over
    certain pixels of another owner, which stay with that owner: it crosses them.
    """
    n = len(seeds)
    prices = np.full(n, np.inf)
    heap = [(0.0, np.int64(0))]
    heap.pop()
    for k in range(n):
        if seeds[k] or stems[k]:
            prices[k] = starts[k]
            owners[k] = seeds[k] if seeds[k] else stems[k]
            heap.append((prices[k], np.int64(k)))
    heapq.heapify(heap)
    while len(heap):
        price, i = heapq.heappop(heap)
        if price > prices[i]:
            continue
        for slot in range(8):
            j = neighbors[i, slot]
            if j < 0:
                break
            total = price + 1.0
            if total < prices[j]:
                prices[j] = total
                owners[j] = owners[i]
                heapq.heappush(heap, (total, np.int64(j)))
    for k in range(n):
        if seeds[k]:
            owners[k] = seeds[k]


def _unify_pieces(graph: PixelGraph, owners: Array, at_body: Array) -> None:
    """Give each piece between junctions to one owner, unless both parts are long.

    at_body: bool (n,); a piece that passes a body ends there.
    """
    graph = graph.cut_at(at_body)
    in_piece = np.nonzero((graph.pieces >= 0) & (owners > 0))[0]
    if not len(in_piece):
        return
    n_owners = int(owners.max()) + 1
    keys = graph.pieces[in_piece].astype(np.int64) * n_owners + owners[in_piece]
    parts, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    pieces, part_owners = parts // n_owners, parts % n_owners
    totals = np.bincount(pieces, counts, graph.n_pieces)
    order = np.lexsort((counts, pieces))  # the last part of a piece is the longest
    longest = np.zeros(graph.n_pieces, np.int64)
    longest[pieces[order]] = part_owners[order]
    min_part_px = np.maximum(_MIN_PART_PX, _MIN_PART_SHARE * totals[pieces])
    final = np.where(counts < min_part_px, longest[pieces], part_owners)
    owners[in_piece] = final[inverse]
