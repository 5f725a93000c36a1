"""Touches of a traced dish as a graph: GraphML, which networkx and Cytoscape read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from rtrecon.core.files import write_atomically
from rtrecon.dish.dish_frame import DishFrame

_NAMESPACE = "http://graphml.graphdrawing.org/xmlns"
_NODE_KEYS = {"y": "double", "x": "double", "length_um": "double", "last_frame": "int"}
_EDGE_KEYS = {
    "n_contacts": "int",
    "first_frame": "int",
    "last_frame": "int",
    "contact_h": "double",
}


def write_graph(path: Path, frames: Sequence[DishFrame]) -> Path:
    """Write neurons as nodes, and pairs that touched as edges; return the path.

    A node has the position and the length when it was seen last. An edge has the most
    touches at one time, the frames of the first and the last touch, and the hours with
    a touch. Only confirmed touches count.
    """
    root = ElementTree.Element("graphml", xmlns=_NAMESPACE)
    for kind, keys in (("node", _NODE_KEYS), ("edge", _EDGE_KEYS)):
        for name, type_ in keys.items():
            attributes = {"id": f"{kind}_{name}", "for": kind, "attr.name": name}
            ElementTree.SubElement(root, "key", {**attributes, "attr.type": type_})
    graph = ElementTree.SubElement(root, "graph", edgedefault="undirected")
    for number, values in _collect_nodes(frames).items():
        node = ElementTree.SubElement(graph, "node", id=str(number))
        _add_values(node, "node", values)
    for (first, second), values in _collect_edges(frames).items():
        ends = {"source": str(first), "target": str(second)}
        _add_values(ElementTree.SubElement(graph, "edge", ends), "edge", values)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode", xml_declaration=True)
    write_atomically(path, text + "\n")
    return path


def _add_values(
    element: ElementTree.Element, kind: str, values: dict[str, float]
) -> None:
    for name, value in values.items():
        data = ElementTree.SubElement(element, "data", key=f"{kind}_{name}")
        data.text = f"{value:.6g}"


def _collect_nodes(frames: Sequence[DishFrame]) -> dict[int, dict[str, float]]:
    nodes: dict[int, dict[str, float]] = {}
    for frame in frames:
        if frame.is_traced:
            for body in frame.bodies:
                values = {name: float(body[name]) for name in ("y", "x", "length_um")}
                nodes[int(body["number"])] = {**values, "last_frame": frame.frame}
    return nodes


def _collect_edges(
    frames: Sequence[DishFrame],
) -> dict[tuple[int, int], dict[str, float]]:
    edges: dict[tuple[int, int], dict[str, float]] = {}
    last_t_s = frames[0].t_s if frames else 0.0
    for frame in frames:
        duration_h, last_t_s = (frame.t_s - last_t_s) / 3600, frame.t_s
        if not frame.is_traced:
            continue
        pairs = [(int(c["first"]), int(c["second"])) for c in frame.confirmed_contacts]
        for pair in set(pairs):
            start = {"n_contacts": 0, "first_frame": frame.frame, "contact_h": 0.0}
            edge = edges.setdefault(pair, {**start, "last_frame": frame.frame})
            edge["n_contacts"] = max(edge["n_contacts"], pairs.count(pair))
            edge["last_frame"] = frame.frame
            edge["contact_h"] += duration_h
    return edges
