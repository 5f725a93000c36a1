"""What the screen, the record and the closed loop cost, and what the record is worth.

    python benchmarks/screen.py [--parts ...] [--pairs 5] [--soak-minutes 30]

Writes `benchmarks/results/screen.json`, and the soak's memory as `screen.png`; figures
of parts not asked for are kept.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import react
import recorded
import redraw
from attached import Attached, Found, growth_mb, run
from loop import RESULTS, machine
from rich import print as show
from rich.table import Table

mpl.use("Agg")
import matplotlib.pyplot as plt

FILE = RESULTS / "screen.json"
BARE = Attached()
EVERYTHING = Attached(displays=3, record=True, react=react.rules())

Figures = dict[str, Any]


def main() -> None:
    arguments = _arguments()
    parts: dict[str, Callable[[Path], Figures]] = {
        "redraw": lambda _: redraw.measure(),
        "front": lambda folder: _front(arguments, folder),
        "recorded": lambda _: recorded.measure(),
        "soak": lambda folder: _soak(arguments.soak_minutes, folder),
    }
    figures = json.loads(FILE.read_text()) if FILE.exists() else {}
    for name in arguments.parts or parts:
        with tempfile.TemporaryDirectory() as scratch:
            found = parts[name](Path(scratch))
        show(_table(found))
        figures |= {**found, "machine": machine()}
        FILE.write_text(json.dumps(figures, indent=2) + "\n")
    show(f"written to {FILE}")


def _front(arguments: argparse.Namespace, folder: Path) -> Figures:
    """Turn by turn with everything attached and bare; ratios of pairs."""
    ratios, react_ms = [], []
    for pair in range(arguments.pairs):
        found: dict[bool, Found] = {}
        for everything in (True, False) if pair % 2 else (False, True):
            attached = EVERYTHING if everything else BARE
            name = f"pairs-{pair}" if everything else f"bare-{pair}"
            found[everything] = run(arguments.seconds, attached, folder / name)
        ratios.append(found[True].front.p99 / found[False].front.p99)
        react_ms.append(found[True].react_ms)
        show(
            f"pair {pair + 1}: frame to traces p99 {found[False].front.p99:.2f} ms "
            f"bare, {found[True].front.p99:.2f} ms with everything attached"
        )
    return {
        "front_p99_ratio": float(np.median(ratios)),
        "front_p99_ratios": ratios,
        **react.figures(np.concatenate(react_ms)),
    }


def _soak(minutes: float, folder: Path) -> Figures:
    """Run for long with everything attached; memory has to stay flat."""
    found = run(60 * minutes, EVERYTHING, folder / "soak")
    growth = growth_mb(found)
    _plot(found)
    return {
        "soak_minutes": minutes,
        "soak_memory_growth_mb": max(growth.values()),
        "soak_memory_growth_mb_by_process": growth,
    }


def _plot(found: Found) -> None:
    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    for name, held_mb in sorted(found.memory_mb.items()):
        minutes = np.array(found.memory_s[-len(held_mb) :]) / 60
        axes.plot(minutes, held_mb, label=name)
    axes.set(xlabel="minutes", ylabel="memory, MB", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=4)
    figure.savefig(RESULTS / "screen.png", dpi=120)
    plt.close(figure)


def _table(figures: Figures) -> Table:
    table = Table("figure", "value", box=None, pad_edge=False)
    for name, value in figures.items():
        text = f"{value:.3g}" if isinstance(value, float) else str(value)
        table.add_row(name, text)
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    names = ("redraw", "front", "recorded", "soak")
    parser.add_argument("--parts", nargs="+", choices=names, help="all if not given")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--soak-minutes", type=float, default=30.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
