"""Makes the tables and images of a `DishFrame` from a traced picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.core.types import Array
from rtrecon.dish.body_step import NumberedBodies
from rtrecon.dish.dish_frame import BODY_DTYPE, LOOSE, SEGMENT_DTYPE, DishFigures
from rtrecon.dish.lengths import measure_lengths
from rtrecon.dish.pixel_graph import PixelGraph, build_pixel_graph
from rtrecon.dish.pixel_scale import PixelScale
from rtrecon.dish.trace import Trace

RIM_PX = 2  # around a body, where the line filter sees its edge instead of neurites
# A neurite ends at a touch if its pixels within this distance lie on one side.
_END_PX, _MIN_ONE_SIDED = 8, 0.6
_MAX_NUMBER = LOOSE - 1  # larger numbers do not fit into an image of owners


@dataclass(frozen=True)
class TracedPicture:
    """One reduced picture with all that was found in it.

    graph: of the lines that hang together with a body. owners: (n,) of its pixels.
    labels: int32, bodies as the tracing sees them. contacts: TRACKED_CONTACT_DTYPE.
    """

    bodies: NumberedBodies
    labels: Array
    trace: Trace
    graph: PixelGraph
    owners: Array
    contacts: Array
    is_valid: Array
    scale: PixelScale

    def measure_figures(self) -> DishFigures:
        """Return the counts of the picture."""
        um_per_px = self.scale.um_per_px
        loose = build_pixel_graph(self.trace.loose)
        length_px = _measure_total(self.graph) + _measure_total(loose)
        length_px += RIM_PX * len(self._list_stems())
        return DishFigures(
            n_bodies=len(self.bodies.table),
            n_contacts=int(self.contacts["is_confirmed"].sum()),
            n_branch_points=_count_branch_points(self.graph),
            length_um=length_px * um_per_px,
            area_mm2=float(self.is_valid.sum()) * (1e-3 * um_per_px) ** 2,
        )

    def list_bodies(self, is_confirmed: Array) -> Array:
        """Return the table of bodies, BODY_DTYPE, in px of the reduced picture."""
        found, numbers = self.bodies.table, self.bodies.numbers
        size = int(max(numbers.max(initial=0), self.owners.max(initial=0))) + 1
        lengths = measure_lengths(self.graph, self.owners, size)
        lengths += RIM_PX * np.bincount(self._list_stems(), minlength=size)
        is_tip = (self.graph.degrees == 1) & (self.owners > 0)
        n_tips = np.bincount(self.owners[is_tip], minlength=size)
        table = np.zeros(len(found), BODY_DTYPE)
        table["number"], table["y"], table["x"] = numbers, found["y"], found["x"]
        table["area_um2"] = found["area"] * self.scale.um_per_px**2
        table["brightness"] = found["brightness"]
        table["length_um"] = lengths[numbers] * self.scale.um_per_px
        table["n_tips"] = n_tips[numbers]
        table["n_partners"] = [self._count_partners(number) for number in numbers]
        table["is_confirmed"] = is_confirmed
        return table

    def list_segments(self) -> Array:
        """Return the pieces between junctions, SEGMENT_DTYPE, in reduced px."""
        graph = self.graph
        in_piece = np.nonzero(graph.pieces >= 0)[0]
        keys = np.stack([graph.pieces[in_piece], self.owners[in_piece]])
        parts, groups = np.unique(keys, axis=1, return_inverse=True)
        n_parts = parts.shape[1]
        of_pixel = np.full(len(graph), -1, np.int64)
        of_pixel[in_piece] = groups.reshape(-1)
        counts = np.bincount(groups.reshape(-1), minlength=n_parts)
        table = np.zeros(n_parts, SEGMENT_DTYPE)
        table["owner"] = parts[1]
        lengths_px = measure_lengths(graph, of_pixel, n_parts)
        table["length_um"] = lengths_px * self.scale.um_per_px
        for name, values in (("y", graph.rows), ("x", graph.cols)):
            sums = np.bincount(groups.reshape(-1), values[in_piece], n_parts)
            table[name] = sums / counts
        ends = of_pixel[graph.degrees == 1]
        table["is_end"][ends[ends >= 0]] = True
        return table

    def map_owners(self) -> Array:
        """Return the uint16 image of owners of the reduced picture."""
        owners = np.minimum(self.labels, _MAX_NUMBER).astype(np.uint16)
        at = self.graph.rows, self.graph.cols
        owners[at] = np.where(
            self.owners > 0, np.minimum(self.owners, _MAX_NUMBER), LOOSE
        )
        owners[self.trace.loose & (owners == 0)] = LOOSE
        return owners

    def list_tips(self) -> Array:
        """Return (n, 3) y, x, owner: free ends, and ends that touch another neuron."""
        is_tip = (self.graph.degrees <= 1) & (self.owners > 0)
        tips = np.column_stack(
            [self.graph.rows[is_tip], self.graph.cols[is_tip], self.owners[is_tip]]
        )
        ends = [
            (contact["y"], contact["x"], contact[side])
            for contact in self.contacts
            for side in ("first", "second")
            if self._ends_at(contact["y"], contact["x"], contact[side])
        ]
        return np.concatenate([tips, np.array(ends).reshape(-1, 3)]).astype(float)

    def _ends_at(self, y: float, x: float, number: int) -> bool:
        """Return whether a neuron's neurite ends at a touch and does not pass it."""
        top, left = max(0, round(y) - _END_PX), max(0, round(x) - _END_PX)
        window = self.graph.indices[
            top : round(y) + _END_PX + 1, left : round(x) + _END_PX + 1
        ]
        near = window[window >= 0]
        near = near[self.owners[near] == number]
        if not len(near):
            return False
        offsets = np.stack([self.graph.rows[near] - y, self.graph.cols[near] - x])
        mean_distance = np.hypot(*offsets).mean()
        return bool(np.hypot(*offsets.mean(1)) > _MIN_ONE_SIDED * mean_distance)

    def _list_stems(self) -> Array:
        """Return the owner of each piece that ends at the rim of a body."""
        at_body = np.nonzero(self.graph.find_adjacent(self.labels))[0]
        pieces = self.graph.pieces[at_body]
        names = np.where(pieces >= 0, pieces, -1 - at_body)
        stems = np.unique(np.stack([names, self.owners[at_body]]), axis=1)
        return np.asarray(stems[1])

    def _count_partners(self, number: int) -> int:
        contacts = self.contacts[self.contacts["is_confirmed"]]
        first, second = contacts["first"], contacts["second"]
        partners = np.concatenate([second[first == number], first[second == number]])
        return len(np.unique(partners))


def _measure_total(graph: PixelGraph) -> float:
    return float(measure_lengths(graph, np.zeros(len(graph), np.int64), 1)[0])


def _count_branch_points(graph: PixelGraph) -> int:
    """Return the number of junctions; neighbouring junction pixels are one."""
    is_junction = graph.degrees > 2
    lines = np.zeros(graph.indices.shape, bool)
    lines[graph.rows[is_junction], graph.cols[is_junction]] = True
    junctions = build_pixel_graph(lines)
    n_links = (junctions.degrees > 0).sum()
    return int(len(junctions) - n_links + _count_groups(junctions))


def _count_groups(graph: PixelGraph) -> int:
    """Return how many groups of two or more pixels hang together."""
    groups = np.arange(len(graph))
    for _ in range(4):  # groups of junction pixels are small
        for slot in range(8):
            neighbors = graph.neighbors[:, slot]
            has_neighbor = neighbors >= 0
            lower = groups[neighbors[has_neighbor]]
            groups[has_neighbor] = np.minimum(groups[has_neighbor], lower)
    return len(np.unique(groups[graph.degrees > 0]))
