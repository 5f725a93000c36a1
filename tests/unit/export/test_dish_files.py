import csv
from xml.etree import ElementTree

import numpy as np
import pytest

from rtrecon.dish.tracker import DishTracker
from rtrecon.export.dish.graph import write_graph
from rtrecon.export.dish.swc import format_swc
from rtrecon.export.dish.tables import write_tables
from tests.unit.dish.drawing import SETTINGS, draw_pair

UM_PER_PX = SETTINGS.um_per_px


@pytest.fixture(scope="module")
def frames():
    """Return a film of two neurons; they touch from the fifth picture on."""
    tracker = DishTracker(SETTINGS)
    gaps = (40, 30, 20, 12, 0, 0, 0)
    images = [draw_pair(gap).render(seed) for seed, gap in enumerate(gaps)]
    return [tracker.process_frame(image) for image in [*images, np.zeros((160, 160))]]


def read_csv(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_hold_every_traced_picture(tmp_path, frames):
    paths = {path.stem: path for path in write_tables(tmp_path, frames)}
    counts = read_csv(paths["counts"])
    assert [row["is_traced"] for row in counts] == ["True"] * 7 + ["False"]
    assert "shutter" in counts[-1]["reason"]
    assert float(counts[6]["length_um"]) == pytest.approx(
        frames[6].figures.length_um, rel=1e-5
    )
    bodies = read_csv(paths["bodies"])
    assert [(row["frame"], row["number"]) for row in bodies[-2:]] == [
        ("6", "1"),
        ("6", "2"),
    ]
    (event,) = read_csv(paths["events"])
    assert (event["kind"], event["first"], event["second"]) == ("contact", "1", "2")
    assert float(event["time_h"]) == pytest.approx(5 * 600 / 3600, abs=1e-3)


def test_an_swc_file_is_a_tree_as_long_as_the_neurites(frames):
    frame = frames[6]
    rows = np.loadtxt(format_swc(frame, 2, UM_PER_PX).splitlines(), ndmin=2)
    assert rows[:, 0].tolist() == list(range(1, len(rows) + 1))
    assert rows[0, 6] == -1
    assert (rows[1:, 6] < rows[1:, 0]).all()
    parents = rows[rows[1:, 6].astype(int) - 1]
    steps = np.hypot(*(rows[1:, 2:4] - parents[:, 2:4]).T)
    from_body = parents[:, 0] == 1
    body = frame.bodies[frame.bodies["number"] == 2][0]
    assert steps[~from_body].sum() == pytest.approx(body["length_um"], rel=0.15)
    at_um = [body["x"] * UM_PER_PX, body["y"] * UM_PER_PX]
    assert rows[0, 2:4] == pytest.approx(at_um, rel=1e-4)


def test_the_graph_has_neurons_as_nodes_and_touches_as_edges(tmp_path, frames):
    networkx = pytest.importorskip("networkx")
    path = write_graph(tmp_path / "contacts.graphml", frames)
    ElementTree.parse(path)
    graph = networkx.read_graphml(path)
    assert sorted(graph.nodes) == ["1", "2"]
    edge = graph.edges["1", "2"]
    assert (edge["n_contacts"], edge["first_frame"], edge["last_frame"]) == (1, 5, 6)
    assert edge["contact_h"] == pytest.approx(2 * 600 / 3600, rel=1e-3)
