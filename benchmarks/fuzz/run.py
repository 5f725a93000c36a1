"""Fuzzes everything that takes bytes from outside: millions of inputs, all cores.

    python benchmarks/fuzz/run.py [--inputs 10000000] [--out FOLDER]

Guided by coverage if atheris is installed, and always by the structure of the
messages. Inputs that fail are written to FOLDER. Writes `benchmarks/results/fuzz.json`;
with fewer than 10,000,000 inputs, `fuzz.quick.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import repeat
from pathlib import Path
from typing import Any

from rich import print as show

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
FULL_INPUTS = 10_000_000
# Share of the inputs by target; slow targets get fewer.
SHARES = {"headers": 4, "requests": 3, "published": 2, "session": 1, "stream": 1}


def main() -> None:
    arguments = _parse_arguments()
    figures = run_fuzzing(arguments.inputs, arguments.out)
    RESULTS.mkdir(exist_ok=True)
    is_full = arguments.inputs >= FULL_INPUTS
    path = RESULTS / ("fuzz.json" if is_full else "fuzz.quick.json")
    path.write_text(json.dumps(figures, indent=2) + "\n")
    show(figures)
    sys.exit(bool(figures["fuzz_crashes"]))


def run_fuzzing(inputs: int, out: Path | None = None) -> dict[str, Any]:
    """Give each target its share of the inputs; return counts and rates."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = (out or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        per_share = -(-inputs // sum(SHARES.values()))
        runs = {name: per_share * share for name, share in SHARES.items()}
        began_s = time.monotonic()
        with ThreadPoolExecutor(os.cpu_count() or 1) as workers:
            results = workers.map(_run_worker, runs, runs.values(), repeat(folder))
            by_target = dict(zip(runs, results, strict=True))
        took_s = time.monotonic() - began_s
    failed = {name: error for name, (status, error) in by_target.items() if status}
    return {
        "fuzz_inputs": sum(runs.values()),
        "fuzz_crashes": len(failed),
        "fuzz_inputs_per_s": round(sum(runs.values()) / took_s),
        "fuzz_engine": "atheris" if find_spec("atheris") else "unguided",
        "fuzz_failures": failed,
    }


def _run_worker(name: str, runs: int, folder: Path) -> tuple[int, str]:
    """Run one worker; return its exit status and the end of its error output."""
    worker_file = str(HERE / "worker.py")
    command = [sys.executable, worker_file, name, str(runs), "1", str(folder)]
    worker = subprocess.run(command, capture_output=True, text=True, check=False)
    return worker.returncode, worker.stderr[-2000:]


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=FULL_INPUTS)
    parser.add_argument("--out", type=Path, help="folder for inputs that fail")
    return parser.parse_args()


if __name__ == "__main__":
    main()
