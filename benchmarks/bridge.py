"""Measures every way into the daemon: latency, throughput, losses.

    python benchmarks/bridge.py [--soak-seconds 1800] [--inputs 10000000] [--parts ...]

Writes `benchmarks/results/bridge.json`. Parts whose programs (GNU Octave) are missing
are skipped with a notice. Figures of parts that are not run stay as they are. A run
with less time, fewer frames or fewer inputs writes `bridge.quick.json`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clocks
import hops
import octave
import replaying
from result_files import describe_machine, update_results
from rich import print as show
from rich.console import Console
from rich.table import Table

from rtrecon.core.errors import UserError

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))
import run as fuzzing

FULL_SECONDS, FULL_SOAK_SECONDS, FULL_FRAMES = 30.0, 1800.0, 900

Figures = dict[str, Any]


def main() -> None:
    arguments = _parse_arguments()
    parts: dict[str, Callable[[], Figures]] = {
        "transports": lambda: _measure_transports(arguments.seconds),
        "octave": lambda: octave.measure(arguments.frames),
        "clocks": clocks.measure,
        "replay": lambda: {"replay_fps": replaying.measure_reading_speed()},
        "soak": lambda: _measure_soak(arguments.soak_seconds),
        "fuzz": lambda: fuzzing.run_fuzzing(arguments.inputs),
    }
    for name in arguments.parts or parts:
        try:
            figures = parts[name]()
        except UserError as error:
            show(f"{name}: skipped, {error}")
            continue
        _print_figures(name, figures)
        figures = {**figures, "machine": describe_machine()}
        path = update_results("bridge", figures, quick=_is_quick(arguments))
        show(f"written to {path}")


def _is_quick(arguments: argparse.Namespace) -> bool:
    return (
        arguments.seconds < FULL_SECONDS
        or arguments.soak_seconds < FULL_SOAK_SECONDS
        or arguments.frames < FULL_FRAMES
        or arguments.inputs < fuzzing.FULL_INPUTS
    )


def _measure_transports(seconds: float) -> Figures:
    by_transport = hops.measure_transports(seconds)
    usual = by_transport["ZeroMQ"]
    return {
        "transport_ms_p50": usual["hop_ms_p50"],
        "transport_ms_p99": usual["hop_ms_p99"],
        "transports": by_transport,
    }


def _measure_soak(seconds: float) -> Figures:
    figures = hops.measure_soak(seconds)
    return {
        "soak_seconds": seconds,
        "soak_frames": figures["sent"],
        "soak_lost": figures["lost"] + figures["dropped"],
        "soak": figures,
    }


def _print_figures(name: str, figures: Figures) -> None:
    """Print each nested dict as a separate table, the rest as one table."""
    console = Console()
    plain = Table(name, "", box=None)
    for key, value in figures.items():
        if isinstance(value, dict) and value:
            console.print(_make_table(key, value))
        else:
            plain.add_row(key, f"{value}")
    console.print(plain)


def _make_table(title: str, rows: dict[str, Any]) -> Table:
    first = next(iter(rows.values()))
    columns = list(first) if isinstance(first, dict) else ["figure"]
    table = Table(title, *columns, box=None)
    for name, row in rows.items():
        values = row.values() if isinstance(row, dict) else [row]
        cells = (f"{v:.4g}" if isinstance(v, float) else f"{v}" for v in values)
        table.add_row(name, *cells)
    return table


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    names = ("transports", "octave", "clocks", "replay", "soak", "fuzz")
    parser.add_argument("--parts", nargs="+", choices=names, help="all if not given")
    parser.add_argument(
        "--seconds", type=float, default=FULL_SECONDS, help="per transport"
    )
    parser.add_argument("--soak-seconds", type=float, default=FULL_SOAK_SECONDS)
    parser.add_argument(
        "--frames", type=int, default=FULL_FRAMES, help="per Octave run"
    )
    parser.add_argument("--inputs", type=int, default=fuzzing.FULL_INPUTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
