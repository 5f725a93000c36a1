"""Measures what displays, recording and rules cost, and checks the recording.

    python benchmarks/screen.py [--parts ...] [--pairs 5] [--soak-minutes 30]

Writes `benchmarks/results/screen.json`, and the memory over the soak test as
`screen.png`. Figures of parts that are not run stay as they are. A run with fewer pairs
or less time writes `screen.quick.json` and `screen.quick.png`.
"""

from __future__ import annotations

import argparse
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
from result_files import describe_machine, get_result_path, update_results
from rich import print as show
from rich.table import Table

mpl.use("Agg")
import matplotlib.pyplot as plt

FULL_SECONDS, FULL_PAIRS, FULL_SOAK_MINUTES = 60.0, 5, 30.0
NOTHING_ATTACHED = Attached()
EVERYTHING = Attached(n_displays=3, record=True, rules=closed_loop.make_rules())

Figures = dict[str, Any]


def main() -> None:
    arguments = _parse_arguments()
    parts: dict[str, Callable[[Path], Figures]] = {
        "redraw": lambda _: redraw.measure(),
        "daemon": lambda folder: _measure_daemon(arguments, folder),
        "recorded": lambda _: recorded_session.measure_session(),
        "soak": lambda folder: _run_soak_test(arguments, folder),
    }
    for name in arguments.parts or parts:
        with tempfile.TemporaryDirectory() as scratch:
            measured = parts[name](Path(scratch))
        show(_make_table(measured))
        figures = {**measured, "machine": describe_machine()}
        path = update_results("screen", figures, quick=_is_quick(arguments))
        show(f"written to {path}")


def _is_quick(arguments: argparse.Namespace) -> bool:
    return (
        arguments.seconds < FULL_SECONDS
        or arguments.pairs < FULL_PAIRS
        or arguments.soak_minutes < FULL_SOAK_MINUTES
    )


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


def _run_soak_test(arguments: argparse.Namespace, folder: Path) -> Figures:
    """Run for a long time with everything attached; memory must not grow."""
    minutes = arguments.soak_minutes
    result = run(60 * minutes, EVERYTHING, folder / "soak")
    growth_mb = memory_growth_mb(result)
    plot = get_result_path("screen", quick=_is_quick(arguments), suffix=".png")
    _plot_memory(result, plot)
    return {
        "soak_minutes": minutes,
        "soak_memory_growth_mb": max(growth_mb.values()),
        "soak_memory_growth_mb_by_process": growth_mb,
    }


def _plot_memory(result: LoopResult, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    for name, used_mb in sorted(result.memory_mb.items()):
        minutes = np.array(result.memory_times_s[-len(used_mb) :]) / 60
        axes.plot(minutes, used_mb, label=name)
    axes.set(xlabel="minutes", ylabel="memory, MB", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=4)
    figure.savefig(path, dpi=120)
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
        "--seconds", type=float, default=FULL_SECONDS, help="duration of each run"
    )
    parser.add_argument("--pairs", type=int, default=FULL_PAIRS)
    parser.add_argument("--soak-minutes", type=float, default=FULL_SOAK_MINUTES)
    return parser.parse_args()


if __name__ == "__main__":
    main()
