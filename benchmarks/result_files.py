"""Where benchmarks write their results: quick runs never replace full ones."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def get_result_path(name: str, *, quick: bool, suffix: str = ".json") -> Path:
    """Return `benchmarks/results/NAME.json`, or `NAME.quick.json` of a quick run.

    Full results are committed; git ignores quick ones. A run is quick if it is shorter
    than the run whose results are committed, or leaves out a part of it.
    """
    RESULTS.mkdir(exist_ok=True)
    return RESULTS / f"{name}{'.quick' if quick else ''}{suffix}"


def write_results(name: str, figures: dict[str, Any], *, quick: bool) -> Path:
    """Write figures in place of those that the file holds. Returns its path."""
    path = get_result_path(name, quick=quick)
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return path


def update_results(name: str, figures: dict[str, Any], *, quick: bool) -> Path:
    """Write figures beside those that the file holds already. Returns its path."""
    path = get_result_path(name, quick=quick)
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return write_results(name, stored | figures, quick=quick)


def describe_machine() -> dict[str, Any]:
    """Return what the figures are measured on."""
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "torch", "numba", "pyzmq")},
    }
