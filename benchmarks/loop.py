"""The whole loop, measured: repeats the demo without a window and keeps its figures.

    python benchmarks/loop.py [--seconds 120] [--video FILE] [--out FOLDER]

Writes `benchmarks/results/loop.json`: the keys of `summary.json` and the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich import print as show

from rtrecon.demo.run import DemoRequest, run_demo
from rtrecon.session.summary import make_summary_table

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        plan = DemoRequest(
            seconds=arguments.seconds,
            headless=True,
            output_folder=arguments.out or Path(scratch),
            video=arguments.video,
            seed=arguments.seed,
        )
        summary = run_demo(plan, show, lambda done, total: None)
    show(make_summary_table(summary))
    RESULTS.mkdir(exist_ok=True)
    found = {**summary, "seconds": arguments.seconds, "machine": machine()}
    name = f"loop-{arguments.video.stem}.json" if arguments.video else "loop.json"
    (RESULTS / name).write_text(json.dumps(found, indent=2) + "\n")
    show(f"written to {RESULTS / name}")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "torch", "numba", "pyzmq")},
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--video", type=Path, help="a video file as the stimulus")
    parser.add_argument("--out", type=Path, help="keep the demo's results here")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
