"""An evaluation on one page: curves, controls against the null, map and frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from rtrecon.analysis.evaluation.evaluation import Evaluation
from rtrecon.analysis.evaluation.experiment import LIVE, NULL
from rtrecon.analysis.evaluation.figure import Row, Table
from rtrecon.analysis.evaluation.scores import Made
from rtrecon.analysis.html import BLUE, GRAY, VERMILION, filmstrip
from rtrecon.core.types import Array

_COLORS = {"video_r": BLUE, "held_out_r": VERMILION}
_NAMES = {"video_r": "movie", "held_out_r": "held-out neurons"}
_A4_INCH = (8.27, 11.69)
_N_FRAMES = 6
_HEIGHTS = (1.0, 1.7, 0.8, 0.75, 0.75)
_WIDTH = 0.38  # of a bar
_CURVES = {
    "lag": "age of the frames, ms",
    "neurons": "neurons used",
    "steps": "steps per hop",
    "encoders": "encoders",
}


def draw_page(evaluation: Evaluation, path: Path) -> None:
    """Write a PNG of one A4 page."""
    figure = Figure(_A4_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subfigures(5, 1, squeeze=False, height_ratios=_HEIGHTS)[:, 0]
    _curves(rows[0], evaluation)
    null = evaluation.tables["quality"][NULL]
    controls = rows[1].subplots()
    _bars(controls, _controls(evaluation), null)
    controls.legend(frameon=False, loc="lower right", fontsize=8)
    at = rows[2].subplots(1, 4)
    _map(at[0], evaluation)
    _departure(at[1], evaluation)
    _bars(at[2], evaluation.tables["behavior"], null)
    _along(at[3], evaluation)
    _frames(rows[3].subplots(), "best clip", evaluation.best)
    _frames(rows[4].subplots(), "worst clip", evaluation.worst)
    figure.suptitle(_headline(evaluation), fontsize=10)
    figure.savefig(path, dpi=150, format="png")


def mosaic(made: Made) -> Array:
    """Return uint8: frames evenly through a clip, what was shown above what was made.

    Where the stimulus is not known, only what was made.
    """
    known = np.flatnonzero(made.counted())
    known = known if len(known) else np.arange(len(made.movie))
    chosen = known[np.linspace(0, len(known) - 1, _N_FRAMES).astype(int)]
    shown = made.clip.shown
    rows = [] if shown is None else [filmstrip(shown[chosen])]
    return np.concatenate([*rows, filmstrip(made.movie[chosen])])


def _headline(evaluation: Evaluation) -> str:
    about, live = evaluation.about, evaluation.tables["quality"][LIVE]
    rest = ", ".join(
        f"{label} {live[name].text()}"
        for name, label in (
            ("frame_r", "frame r"),
            ("held_out_r", "held-out r"),
            ("ssim", "SSIM"),
            ("psnr_db", "PSNR in dB"),
        )
        if live[name].mean is not None
    )
    return (
        f"{evaluation.sentence()}\n{rest}\n{about['neurons']} neurons, "
        f"{about['neurons_held_out']} of them held out; mean ± s.d. (clips of "
        f"{about['frames_per_clip'] / about['rate_hz']:.0f} s)"
    )


def _controls(evaluation: Evaluation) -> Table:
    live = {"as recorded": evaluation.tables["quality"][LIVE]}
    return live | evaluation.tables.get("controls", {})


def _curves(part: SubFigure, evaluation: Evaluation) -> None:
    tables, null = evaluation.tables, evaluation.tables["quality"][NULL]
    drawn = [name for name in _CURVES if name in tables]
    all_axes = part.subplots(1, len(drawn), sharey=True)
    for axes, name in zip(all_axes, drawn, strict=True):
        _curve(axes, tables[name], null, _CURVES[name])
    all_axes[0].set_ylabel("r")


def _curve(axes: Axes, table: Table, null: Row, label: str) -> None:
    """Draw r against what was varied, with the null's level."""
    places = np.arange(len(table))
    for name, color in _COLORS.items():
        figures = [row.get(name) for row in table.values()]
        drawn = [(x, f) for x, f in zip(places, figures, strict=True) if f and f.clips]
        if not drawn:
            continue
        x, y, sd = zip(*((x, f.mean, f.sd) for x, f in drawn), strict=True)
        axes.errorbar(x, y, sd, fmt=".-", color=color, capsize=2)
        _null(axes, null, name)
    axes.set_xticks(places, [_short(text) for text in table])
    axes.set_xlabel(label)


def _null(axes: Axes, null: Row, name: str) -> None:
    level = null[name].mean
    if level is not None:
        axes.axhline(level, color=_COLORS[name], linestyle=":", linewidth=1)


def _short(text: str) -> str:
    return text.removesuffix(" ms").replace(".0%", "%")


def _bars(axes: Axes, table: Table, null: Row) -> None:
    """Draw r of each row as bars, and the null's level as dotted lines."""
    labels = list(table)
    places = np.arange(len(labels))[::-1]
    for shift, (name, color) in zip((1, -1), _COLORS.items(), strict=True):
        figures = [row[name] for row in table.values()]
        y = places + shift * _WIDTH / 2
        width = [figure.mean or 0.0 for figure in figures]
        spread = [figure.sd or 0.0 for figure in figures]
        axes.barh(y, width, _WIDTH, xerr=spread, color=color, label=_NAMES[name])
        level = null[name].mean
        if level is not None:
            axes.axvline(level, color=color, linestyle=":", linewidth=1)
    axes.axvline(0, color=GRAY, linewidth=0.8)
    counts = [max(figure.clips for figure in row.values()) for row in table.values()]
    axes.set_yticks(
        places,
        [f"{label} ({n})" for label, n in zip(labels, counts, strict=True)],
        fontsize=7,
    )
    axes.set_xlabel("r, dotted: null")


def _map(axes: Axes, evaluation: Evaluation) -> None:
    image = axes.imshow(evaluation.map, vmin=0, vmax=1, cmap="viridis")
    _screen(axes, image, "identifiability")


def _departure(axes: Axes, evaluation: Evaluation) -> None:
    """Draw where more was recovered while the pupil was large than while small."""
    large, small = (evaluation.state_maps.get(f"pupil {k}") for k in ("large", "small"))
    if large is None or small is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "by pupil: not known", ha="center", fontsize=8)
        return
    image = axes.imshow(large - small, vmin=-1, vmax=1, cmap="PuOr")
    _screen(axes, image, "pupil large - small")


def _screen(axes: Axes, image: AxesImage, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()
    bar = axes.inset_axes((0.1, -0.22, 0.8, 0.1))
    axes.figure.colorbar(image, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=7)


def _along(axes: Axes, evaluation: Evaluation) -> None:
    """Draw r of each clip in order of time: does quality drift?"""
    for name, color in _COLORS.items():
        r = [np.nan if clip[name] is None else clip[name] for clip in evaluation.clips]
        axes.plot(np.arange(1, len(r) + 1), r, ".-", color=color)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="clip, in order of time", ylabel="r")


def _frames(axes: Axes, title: str, made: Made) -> None:
    axes.imshow(mosaic(made), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    above = "made" if made.clip.shown is None else "shown above, made below"
    axes.set_title(f"{title}, {made.clip.name}: {above}", fontsize=9)
    axes.set_axis_off()
