"""Finds where neurons touch: pixels of two owners side by side."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from rtrecon.core.numba_jit import jit_kernel
from rtrecon.core.types import Array
from rtrecon.dish.pixel_graph import PixelGraph

_MERGE_PX = 12.0  # touches of one pair within this distance are one
_BODY_MARGIN_PX = 12.0
CONTACT_DTYPE = np.dtype(
    [
        ("y", float),
        ("x", float),
        ("first", np.int64),
        ("second", np.int64),
        ("is_on_body", bool),
    ]
)


def find_contacts(
    graph: PixelGraph, owners: Array, bodies: Array, body_table: Array
) -> Array:
    """Return (n,) of CONTACT_DTYPE: one for each place where a pair touches.

    owners: (n,) of the graph's pixels. bodies: int32 (lines, pixels), number or 0.
    body_table: structured, with number, y, x and area in px. Where a neurite touches a
    body, there is one contact, and none of the same pair beside it.
    """
    between, on_body = _list_meeting_points(graph, owners, bodies)
    on_bodies = _average_body_touches(on_body)
    for body in body_table:
        partners = np.unique(on_body[on_body[:, 2] == body["number"], 3])
        reach_px = np.sqrt(body["area"] / np.pi) + _BODY_MARGIN_PX
        distance = np.hypot(between[:, 0] - body["y"], between[:, 1] - body["x"])
        number = body["number"]
        other = np.where(between[:, 2] == number, between[:, 3], between[:, 2])
        is_of_body = (between[:, 2:] == number).any(1)
        is_same = is_of_body & np.isin(other, partners) & (distance < reach_px)
        between = between[~is_same]
    return np.concatenate([_merge_contacts(between), on_bodies])


def _list_meeting_points(
    graph: PixelGraph, owners: Array, bodies: Array
) -> tuple[Array, Array]:
    """Return (n, 4) y, x, first, second between neurites; and y, x, body, neuron."""
    size = 8 * len(graph) + 1
    between, on_body = np.empty((size, 4)), np.empty((size, 4))
    n_between, n_on_body = _collect_meeting_points(
        (graph.rows, graph.cols), graph.neighbors, owners, bodies, between, on_body
    )
    return between[:n_between].copy(), on_body[:n_on_body].copy()


@jit_kernel
def _collect_meeting_points(
    at: tuple[Array, Array],
    neighbors: Array,
    owners: Array,
    bodies: Array,
    between: Array,
    on_body: Array,
) -> tuple[int, int]:
    rows, cols = at
    n_between, n_on_body = 0, 0
    for k in range(len(rows)):
        owner = owners[k]
        if owner == 0:
            continue
        for slot in range(8):
            j = neighbors[k, slot]
            if j < 0:
                break
            if j > k and owners[j] and owners[j] != owner:
                between[n_between, 0] = (rows[k] + rows[j]) / 2
                between[n_between, 1] = (cols[k] + cols[j]) / 2
                between[n_between, 2] = min(owner, owners[j])
                between[n_between, 3] = max(owner, owners[j])
                n_between += 1
        for y in range(max(0, rows[k] - 1), min(bodies.shape[0], rows[k] + 2)):
            for x in range(max(0, cols[k] - 1), min(bodies.shape[1], cols[k] + 2)):
                if bodies[y, x] and bodies[y, x] != owner:
                    on_body[n_on_body, 0] = rows[k]
                    on_body[n_on_body, 1] = cols[k]
                    on_body[n_on_body, 2] = bodies[y, x]
                    on_body[n_on_body, 3] = owner
                    n_on_body += 1
    return n_between, n_on_body


def _average_body_touches(on_body: Array) -> Array:
    contacts = []
    for body, neuron in np.unique(on_body[:, 2:], axis=0).astype(np.int64).tolist():
        is_pair = (on_body[:, 2] == body) & (on_body[:, 3] == neuron)
        y, x = on_body[is_pair, :2].mean(0)
        contacts.append((y, x, min(body, neuron), max(body, neuron), True))
    return np.array(contacts, CONTACT_DTYPE)


def _merge_contacts(points: Array) -> Array:
    """Return one contact for all points of a pair that hang together within 12 px."""
    contacts = []
    for pair in np.unique(points[:, 2:], axis=0):
        of_pair = points[(points[:, 2:] == pair).all(1), :2]
        links = cKDTree(of_pair).query_pairs(_MERGE_PX, output_type="ndarray")
        size = (len(of_pair), len(of_pair))
        graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), size)
        n_groups, groups = connected_components(graph, directed=False)
        for k in range(n_groups):
            y, x = of_pair[groups == k].mean(0)
            contacts.append((y, x, int(pair[0]), int(pair[1]), False))
    return np.array(contacts, CONTACT_DTYPE)
