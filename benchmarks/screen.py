"""Measures what displays, recording and rules cost, and checks the recording.

    python benchmarks/screen.py [--parts ...] [--pairs 5] [--soak-minutes 30]

Writes `benchmarks/results/screen.json`, and the memory over the soak test as
`screen.png`. Figures of parts that are not run stay as they are.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import closed_loop
import matplotlib as mpl
import numpy as np
import recorded_session
import redraw
from attached import Attached, LoopResult, memory_growth_mb, run
from loop import RESULTS, machine
from rich import print as show
from rich.table import Table

mpl.use("Agg")
import matplotlib.pyplot as plt

FILE = RESULTS / "screen.json"
NOTHING_ATTACHED = Attached()
EVERYTHING = Attached(n_displays=3, record=True, rules=closed_loop.make_rules())

Figures = dict[str, Any]


def main() -> None:
    arguments = _parse_arguments()
    parts: dict[str, Callable[[Path], Figures]] = {
        "redraw": lambda _: redraw.measure(),
        "daemon": lambda folder: _measure_daemon(arguments, folder),
        "recorded": lambda _: recorded_session.measure_session(),
        "soak": lambda folder: _run_soak_test(arguments.soak_minutes, folder),
    }
    figures = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in arguments.parts or parts:
        with tempfile.TemporaryDirectory() as scratch:
            measured = parts[name](Path(scratch))
        show(_make_table(measured))
        figures |= {**measured, "machine": machine()}
        FILE.write_text(json.dumps(figures, indent=2) + "\n")
    show(f"written to {FILE}")


def _measure_daemon(arguments: argparse.Namespace, folder: Path) -> Figures:
    """Run pairs, with everything attached and with nothing; compare each pair."""
    ratios, latencies_ms = [], []
    for pair in range(arguments.pairs):
        results: dict[bool, LoopResult] = {}
        for everything in (True, False) if pair % 2 else (False, True):
            attached = EVERYTHING if everything else NOTHING_ATTACHED
            name = f"attached-{pair}" if everything else f"bare-{pair}"
            results[everything] = run(arguments.seconds, attached, folder / name)
        with_ms, without_ms = (
            results[key].frame_to_traces.p99 for key in (True, False)
        )
        ratios.append(with_ms / without_ms)
        latencies_ms.append(results[True].event_latency_ms)
        show(
            f"pair {pair + 1}: frame to traces p99 {without_ms:.2f} ms with nothing "
            f"attached, {with_ms:.2f} ms with everything attached"
        )
    return {
        "daemon_p99_ratio": float(np.median(ratios)),
        "daemon_p99_ratios": ratios,
        **closed_loop.summarize(np.concatenate(latencies_ms)),
    }


def _run_soak_test(minutes: float, folder: Path) -> Figures:
    """Run for a long time with everything attached; memory must not grow."""
    result = run(60 * minutes, EVERYTHING, folder / "soak")
    growth_mb = memory_growth_mb(result)
    _plot_memory(result)
    return {
        "soak_minutes": minutes,
        "soak_memory_growth_mb": max(growth_mb.values()),
        "soak_memory_growth_mb_by_process": growth_mb,
    }


def _plot_memory(result: LoopResult) -> None:
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    for name, used_mb in sorted(result.memory_mb.items()):
        minutes = np.array(result.memory_times_s[-len(used_mb) :]) / 60
        axes.plot(minutes, used_mb, label=name)
    axes.set(xlabel="minutes", ylabel="memory, MB", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=4)
    figure.savefig(RESULTS / "screen.png", dpi=120)
    plt.close(figure)


def _make_table(figures: Figures) -> Table:
    table = Table("figure", "value", box=None, pad_edge=False)
    for name, value in figures.items():
        text = f"{value:.3g}" if isinstance(value, float) else str(value)
        table.add_row(name, text)
    return table


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    names = ("redraw", "daemon", "recorded", "soak")
    parser.add_argument("--parts", nargs="+", choices=names, help="default: all")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="duration of each run"
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--soak-minutes", type=float, default=30.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
