"""How well an encoder predicts, by minutes of training and number of neurons.

    python benchmarks/quality_table.py [--family NAME] [--minutes M ...]
        [--neurons N ...] [--forms NAME ...] [--cache FOLDER] [--quick]

The measure is the share of the ceiling: r with single trials of the test clips, divided
by that of the true rates. One session is recorded, of which an encoder gets the first
minutes and the first neurons. Adds `quality_table` to
`benchmarks/results/inversion.json`, or with --quick to `inversion.quick.json`; sizes
that were measured before are kept.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from result_files import get_result_path, update_results
from rich.console import Console
from rich.progress import Progress
from simulated_mice import CACHE
from subject_scores import compare_with_true_rates
from subject_sessions import FAMILIES, FORMS, SessionPlan, SubjectSession

from rtrecon.encoder.base import LiveEncoder
from rtrecon.training.compact.fit import FitJob, TrainingRecipe
from rtrecon.training.encoder_form import (
    EncoderForm,
    fit_compact,
    fit_convolutional,
)

MINUTES, NEURONS = (2.0, 5.0, 10.0, 20.0), (100, 300, 1000)


@dataclass(frozen=True)
class TableCell:
    """One size of the table, for one form."""

    family: str
    form: EncoderForm
    minutes: float
    neurons: int


def main() -> None:
    """Fit all encoders of the table, and write each figure when it is known."""
    arguments = _parse_arguments()
    torch.set_num_threads(1)
    plan = SessionPlan(arguments.family, max(arguments.neurons), max(arguments.minutes))
    cells = [
        TableCell(arguments.family, form, minutes, neurons)
        for minutes in sorted(arguments.minutes)
        for neurons in sorted(arguments.neurons)
        for form in arguments.forms
    ]
    with Progress() as progress:
        session = SubjectSession(plan, arguments.cache, progress)
        task = progress.add_task("encoders", total=len(cells))
        for cell in cells:
            share = measure_share(session, cell)
            Console().print(f"{cell}: {share:.3f}")
            _store(cell, share, quick=arguments.quick)
            progress.advance(task)


def measure_share(session: SubjectSession, cell: TableCell) -> float:
    """Return the share of the ceiling of an encoder of this size."""
    data = session.assemble_training(cell.minutes, cell.neurons)
    job = FitJob(
        training=data.training,
        validation=data.validation,
        recipe=TrainingRecipe(epochs=session.plan.epochs),
    )
    encoder: LiveEncoder
    if cell.form == "compact":
        encoder = fit_compact(job, lambda _: None).encoder
    else:
        encoder = fit_convolutional(job, lambda *_: None).encoder
    tests = [
        each.select_neurons(cell.neurons).standardize_behavior(
            data.behavior_mean, data.behavior_sd
        )
        for each in session.tests
    ]
    return compare_with_true_rates(encoder, tests)


def _store(cell: TableCell, share: float, *, quick: bool) -> None:
    """Add a figure to the table, in place of one of the same size."""
    path = get_result_path("inversion", quick=quick)
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    size = vars(cell)
    others: list[dict[str, Any]] = [
        row
        for row in stored.get("quality_table", [])
        if any(row[key] != value for key, value in size.items())
    ]
    rows = [*others, {**size, "fraction_of_ceiling": share}]
    rows.sort(
        key=lambda row: (row["family"], row["form"], row["minutes"], row["neurons"])
    )
    update_results("inversion", {"quality_table": rows}, quick=quick)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=FAMILIES, default="sensorium")
    parser.add_argument("--minutes", type=float, nargs="+", default=[*MINUTES])
    parser.add_argument("--neurons", type=int, nargs="+", default=[*NEURONS])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=[*FORMS])
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--quick", action="store_true", help="write inversion.quick")
    return parser.parse_args()


if __name__ == "__main__":
    main()
