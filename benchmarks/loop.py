"""Measures the whole loop: runs the demo without a window and writes its figures.

    python benchmarks/loop.py [--seconds 120] [--video FILE] [--out FOLDER]

Writes `benchmarks/results/loop.json`: the keys of `summary.json` and the machine. A run
of less than 120 seconds writes `loop.quick.json`; with a video, the name of the file
follows `loop-`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from result_files import describe_machine, write_results
from rich import print as show

from rtrecon.demo.run import DemoRequest, run_demo
from rtrecon.session.summary import make_summary_table

FULL_SECONDS = 120.0


def main() -> None:
    arguments = _parse_arguments()
    with tempfile.TemporaryDirectory() as scratch:
        request = DemoRequest(
            seconds=arguments.seconds,
            headless=True,
            output_folder=arguments.out or Path(scratch),
            video=arguments.video,
            seed=arguments.seed,
        )
        summary = run_demo(request, show, lambda done, total: None)
    show(make_summary_table(summary))
    figures = {**summary, "seconds": arguments.seconds, "machine": describe_machine()}
    name = f"loop-{arguments.video.stem}" if arguments.video else "loop"
    path = write_results(name, figures, quick=arguments.seconds < FULL_SECONDS)
    show(f"written to {path}")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=FULL_SECONDS)
    parser.add_argument("--video", type=Path, help="a video file as the stimulus")
    parser.add_argument("--out", type=Path, help="folder for the demo's results")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
