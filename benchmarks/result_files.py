"""Where benchmarks write their results: quick runs never replace full ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loop import RESULTS


def write_results(name: str, figures: dict[str, Any], *, quick: bool = False) -> Path:
    """Write `benchmarks/results/NAME.json`, or `NAME.quick.json` of a quick run.

    Full results are committed; git ignores quick ones. Returns the path.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}{'.quick' if quick else ''}.json"
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return path
