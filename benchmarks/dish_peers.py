"""What public programs give on the same data: Frangi's filter, a tracking score."""

from __future__ import annotations

from importlib.util import find_spec
from time import process_time

import numpy as np
from dish_scores import BODY_REACH_PX

from rtrecon.core.types import Array


def time_frangi_ms(image: Array) -> float | None:
    """Return cpu ms of scikit-image's Frangi filter with its own widths of lines.

    None if scikit-image is not installed.
    """
    if find_spec("skimage") is None:
        return None
    from skimage.filters import frangi

    picture = image.astype(np.float32)
    frangi(picture[:64, :64], black_ridges=False)
    start_s = process_time()
    frangi(picture, black_ridges=False)
    return round(1e3 * (process_time() - start_s), 1)


def score_tracking(bodies: list[tuple[Array, Array]]) -> dict[str, float] | None:
    """Return TRA and DET of the Cell Tracking Challenge; None without traccuracy.

    bodies: per frame (n, 3) number, y, x that were found, and of the truth. Bodies
    match within 8 px. TRA (Matula et al. 2015) counts the operations that turn the
    found graph into the true one; ours are points, so splits cannot happen.
    """
    if find_spec("traccuracy") is None:
        return None
    from traccuracy import run_metrics
    from traccuracy.matchers import PointMatcher
    from traccuracy.metrics import CTCMetrics

    found, truth = (_build_graph([pair[k] for pair in bodies]) for k in (0, 1))
    results, _ = run_metrics(truth, found, PointMatcher(BODY_REACH_PX), [CTCMetrics()])
    values = results[0]["results"]
    return {name: round(float(values[name]), 4) for name in ("TRA", "DET", "LNK")}


def _build_graph(frames: list[Array]) -> object:
    import networkx
    from traccuracy import TrackingGraph

    graph = networkx.DiGraph()
    last: dict[int, int] = {}
    for t, rows in enumerate(frames):
        for number, y, x in rows.tolist():
            node = len(graph)
            graph.add_node(node, t=t, y=y, x=x)
            if number in last:
                graph.add_edge(last[number], node)
            last[number] = node
    return TrackingGraph(graph, location_keys=("y", "x"))
