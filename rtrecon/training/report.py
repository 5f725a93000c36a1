"""How training went: a picture and the same numbers beside the checkpoint."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rtrecon.core.types import Array
from rtrecon.training.compact.fit import Progress
from rtrecon.training.score import mean_r

_BLUE, _VERMILION, _GRAY = "#0072B2", "#D55E00", "#999999"  # any colour vision
_BINS = np.linspace(-0.2, 1.0, 49).tolist()


@dataclass(frozen=True)
class Scores:
    """history: one entry per epoch. r, ceiling: (n,), NaN where not known."""

    history: list[Progress]
    r: Array
    ceiling: Array | None
    notes: tuple[str, ...] = ()

    @property
    def fraction_of_ceiling(self) -> float | None:
        """Mean r over mean ceiling, of the neurons of which both are known."""
        if self.ceiling is None:
            return None
        known = np.isfinite(self.r) & np.isfinite(self.ceiling)
        ceiling = self.ceiling[known].sum()
        return float(self.r[known].sum() / ceiling) if ceiling > 0 else None

    def as_json(self) -> dict[str, Any]:
        """Return everything, for json.dumps."""
        return {
            "epochs": [asdict(progress) for progress in self.history],
            "validation_r": round(mean_r(self.r), 4),
            "fraction_of_ceiling": self.fraction_of_ceiling,
            "r": _numbers(self.r),
            "ceiling": None if self.ceiling is None else _numbers(self.ceiling),
            "notes": list(self.notes),
        }


def report_files(path: Path) -> tuple[Path, Path]:
    """Return where a checkpoint's report lies: picture, numbers."""
    picture, numbers = (f"{path.stem}-training.{kind}" for kind in ("png", "json"))
    return path.with_name(picture), path.with_name(numbers)


def write_report(path: Path, scores: Scores) -> None:
    """Write the report of the checkpoint at `path`."""
    picture, numbers = report_files(path)
    text = json.dumps(scores.as_json(), indent=1, allow_nan=False)
    numbers.write_text(text + "\n", encoding="utf-8")
    figure = Figure((9.5, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2).ravel()
    _draw_epochs(axes[0], axes[1], scores.history)
    _draw_histogram(axes[2], scores)
    _draw_ceiling(axes[3], scores)
    figure.suptitle(f"{path.name}: {len(scores.r)} neurons, {_headline(scores)}")
    figure.savefig(picture, dpi=110, format="png")


def _headline(scores: Scores) -> str:
    mean = f"mean r {mean_r(scores.r):.3f} on clips not trained on"
    fraction = scores.fraction_of_ceiling
    return mean if fraction is None else f"{mean}, {fraction:.0%} of the ceiling"


def _draw_epochs(misfit: Axes, r: Axes, history: list[Progress]) -> None:
    epochs = [progress.epoch for progress in history]
    misfit.plot(epochs, [progress.misfit for progress in history], ".-", color=_BLUE)
    misfit.set(xlabel="epoch", ylabel="misfit in training")
    scored = [progress.validation_r for progress in history]
    r.plot(epochs, scored, ".-", color=_BLUE)
    best = int(np.argmax(scored))
    r.plot(epochs[best], scored[best], "o", color=_VERMILION, label="kept")
    r.set(xlabel="epoch", ylabel="validation r")
    r.legend(frameon=False)


def _draw_histogram(axes: Axes, scores: Scores) -> None:
    axes.hist(scores.r, _BINS, color=_BLUE, alpha=0.7, label="encoder")
    if scores.ceiling is not None:
        axes.hist(
            scores.ceiling,
            _BINS,
            color=_VERMILION,
            histtype="step",
            linewidth=1.5,
            label="single-trial ceiling",
        )
    axes.set(xlabel="validation r", ylabel="neurons")
    axes.legend(frameon=False)


def _draw_ceiling(axes: Axes, scores: Scores) -> None:
    if scores.ceiling is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "single-trial ceiling not known", ha="center")
        return
    axes.plot([0, 1], [0, 1], color=_GRAY)
    axes.plot(scores.ceiling, scores.r, ".", color=_BLUE, markersize=4)
    axes.set(xlabel="single-trial ceiling", ylabel="validation r", xlim=(0, 1))


def _numbers(values: Array) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | None:
    """Return what JSON can say: it knows no NaN."""
    return round(value, 4) if np.isfinite(value) else None
