"""The truth of a simulated frame: bodies, centrelines, lengths and touches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from rtrecon.core.types import Array
from rtrecon.simulate.dish.culture import Culture
from rtrecon.simulate.dish.neuron import Neuron

TOUCH_PX, NEAR_PX = 3.0, 6.5
_MERGE_PX = 12.0  # touches of one pair within this distance are one
_BODY_TOUCH_PX = 2.5
_VISIBLE_STEPS = 6  # a dead body is still a body for so long


@dataclass(frozen=True)
class DishTruth:
    """What a frame shows, in pixels of the first frame (drift is taken off).

    bodies: (n, 4) number, y, x, radius. centerlines: (n, 3) y, x, number, outside of
    the bodies, about 1 px apart. length_px: by number. touches: (n, 4) y, x and the two
    numbers, the smaller first; neurites within 3 px of each other or of a body. near:
    the same within 6.5 px, which no eye tells from touching. drift_px: (y, x) by which
    the frame is moved.
    """

    bodies: Array
    centerlines: Array
    length_px: dict[int, float]
    touches: Array
    near: Array
    drift_px: tuple[float, float] = (0.0, 0.0)


def describe_culture(culture: Culture, drift_px: tuple[float, float]) -> DishTruth:
    """Return the truth of the culture as it is now."""
    step = culture.step
    visible = [n for n in culture.neurons if n.is_alive(step - _VISIBLE_STEPS)]
    living = [n for n in culture.neurons if n.is_alive(step)]
    bodies = np.array([(n.number, *n.center, n.radius_px) for n in visible])
    bodies = bodies.reshape(-1, 4)
    lines, lengths = [np.zeros((0, 3))], {n.number: 0.0 for n in culture.neurons}
    for neuron in living:
        lines += _list_centerlines(neuron)
        lengths[neuron.number] = _measure_length(neuron)
    centerlines = np.concatenate(lines)
    touches = find_touches(centerlines, bodies, TOUCH_PX, _BODY_TOUCH_PX)
    near = find_touches(centerlines, bodies, NEAR_PX, NEAR_PX)
    return DishTruth(bodies, centerlines, lengths, touches, near, drift_px)


def find_touches(
    centerlines: Array, bodies: Array, reach_px: float, body_reach_px: float
) -> Array:
    """Return (n, 4) y, x, number, number: where different neurons meet.

    A neurite that meets a body counts once, and takes the place of touches of the same
    pair beside that body.
    """
    if not len(centerlines):
        return np.zeros((0, 4))
    tree = cKDTree(centerlines[:, :2])
    on_bodies = _find_body_touches(tree, centerlines, bodies, body_reach_px)
    pairs = tree.query_pairs(reach_px, output_type="ndarray")
    first, second = centerlines[pairs[:, 0]], centerlines[pairs[:, 1]]
    is_other = first[:, 2] != second[:, 2]
    first, second = first[is_other], second[is_other]
    middles = (first[:, :2] + second[:, :2]) / 2
    numbers = np.sort(np.column_stack([first[:, 2], second[:, 2]]), axis=1)
    points = np.column_stack([middles, numbers])
    for number, y, x, radius_px in bodies:
        partners = on_bodies[(on_bodies[:, 2:] == number).any(1), 2:]
        is_beside = np.hypot(points[:, 0] - y, points[:, 1] - x) < radius_px + 10
        is_same = (points[:, None, 2:] == partners[None]).all(2).any(1)
        points = points[~(is_beside & is_same)]
    return np.concatenate([_merge_points(points), on_bodies])


def _find_body_touches(
    tree: cKDTree, centerlines: Array, bodies: Array, reach_px: float
) -> Array:
    rows = []
    for number, y, x, radius_px in bodies:
        points = centerlines[tree.query_ball_point((y, x), radius_px + reach_px)]
        for other in np.unique(points[:, 2]):
            if other != number:
                middle = points[points[:, 2] == other, :2].mean(0)
                rows.append((*middle, *sorted((number, other))))
    return np.array(rows).reshape(-1, 4)


def _merge_points(points: Array) -> Array:
    """Return one row for all points of a pair that hang together within 12 px."""
    merged = [np.zeros((0, 4))]
    for pair in np.unique(points[:, 2:], axis=0):
        of_pair = points[(points[:, 2:] == pair).all(1), :2]
        links = cKDTree(of_pair).query_pairs(_MERGE_PX, output_type="ndarray")
        size = (len(of_pair), len(of_pair))
        graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), size)
        n_groups, groups = connected_components(graph, directed=False)
        for k in range(n_groups):
            middle = of_pair[groups == k].mean(0)
            merged.append(np.array([[*middle, *pair]]))
    return np.concatenate(merged)


def _list_centerlines(neuron: Neuron) -> list[Array]:
    return [
        np.column_stack([points, np.full(len(points), neuron.number)])
        for _, points in neuron.trace()
    ]


def _measure_length(neuron: Neuron) -> float:
    steps = [np.diff(points, axis=0) for _, points in neuron.trace()]
    return float(sum(np.hypot(*step.T).sum() for step in steps))
