"""Training report: a picture, and the same numbers as JSON, beside the checkpoint."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rtrecon.core.figures import save_png
from rtrecon.core.types import Array
from rtrecon.training.compact.fit import EpochProgress
from rtrecon.training.score import average_correlation

_BLUE, _VERMILION, _GRAY = "#0072B2", "#D55E00", "#999999"  # for any color vision
_BINS = np.linspace(-0.2, 1.0, 49).tolist()


@dataclass(frozen=True)
class TrainingScores:
    """Scores of a training run.

    history: one entry per epoch; empty if there were none. r, ceiling: (n,), NaN where
    unknown.
    """

    history: list[EpochProgress]
    r: Array
    ceiling: Array | None
    notices: tuple[str, ...] = ()

    @property
    def fraction_of_ceiling(self) -> float | None:
        """Mean r over mean ceiling, of the neurons for which both are known."""
        if self.ceiling is None:
            return None
        is_known = np.isfinite(self.r) & np.isfinite(self.ceiling)
        ceiling = self.ceiling[is_known].sum()
        return float(self.r[is_known].sum() / ceiling) if ceiling > 0 else None

    def to_json(self) -> dict[str, Any]:
        """Return all scores as plain values for JSON."""
        return {
            "epochs": [asdict(progress) for progress in self.history],
            "validation_r": round(average_correlation(self.r), 4),
            "fraction_of_ceiling": self.fraction_of_ceiling,
            "r": _to_json_list(self.r),
            "ceiling": None if self.ceiling is None else _to_json_list(self.ceiling),
            "notices": list(self.notices),
        }


def report_paths(path: Path) -> tuple[Path, Path]:
    """Return the paths of a checkpoint's report: picture, numbers."""
    picture, numbers = (f"{path.stem}-training.{kind}" for kind in ("png", "json"))
    return path.with_name(picture), path.with_name(numbers)


def write_report(path: Path, scores: TrainingScores) -> None:
    """Write the report of the checkpoint at `path`."""
    picture, numbers = report_paths(path)
    text = json.dumps(scores.to_json(), indent=1, allow_nan=False)
    numbers.write_text(text + "\n", encoding="utf-8")
    figure = Figure((9.5, 6.5), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    _draw_epochs(axes[0], axes[1], scores.history)
    _draw_histogram(axes[2], scores)
    _draw_ceiling(axes[3], scores)
    figure.suptitle(f"{path.name}: {len(scores.r)} neurons, {_format_headline(scores)}")
    save_png(figure, picture, dpi=110)


def _format_headline(scores: TrainingScores) -> str:
    mean = f"mean r {average_correlation(scores.r):.3f} on clips not trained on"
    fraction = scores.fraction_of_ceiling
    return mean if fraction is None else f"{mean}, {fraction:.0%} of the ceiling"


def _draw_epochs(loss_axes: Axes, r_axes: Axes, history: list[EpochProgress]) -> None:
    if not history:
        for axes in (loss_axes, r_axes):
            axes.set_axis_off()
        loss_axes.text(0.5, 0.5, "fitted without epochs", ha="center")
        return
    epochs = [progress.epoch for progress in history]
    losses = [progress.training_loss for progress in history]
    loss_axes.plot(epochs, losses, ".-", color=_BLUE)
    loss_axes.set(xlabel="epoch", ylabel="training loss")
    r = [progress.validation_r for progress in history]
    r_axes.plot(epochs, r, ".-", color=_BLUE)
    best = int(np.argmax(r))
    r_axes.plot(epochs[best], r[best], "o", color=_VERMILION, label="saved")
    r_axes.set(xlabel="epoch", ylabel="validation r")
    r_axes.legend(frameon=False)


def _draw_histogram(axes: Axes, scores: TrainingScores) -> None:
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


def _draw_ceiling(axes: Axes, scores: TrainingScores) -> None:
    if scores.ceiling is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "single-trial ceiling unknown", ha="center")
        return
    axes.plot([0, 1], [0, 1], color=_GRAY)
    axes.plot(scores.ceiling, scores.r, ".", color=_BLUE, markersize=4)
    axes.set(xlabel="single-trial ceiling", ylabel="validation r", xlim=(0, 1))


def _to_json_list(values: Array) -> list[float | None]:
    return [_to_json_number(value) for value in values.tolist()]


def _to_json_number(value: float) -> float | None:
    """Return a rounded number, or None for NaN, which JSON does not have."""
    return round(value, 4) if np.isfinite(value) else None
