"""An evaluation as a picture of one page: curves, controls, map and frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from rtrecon.analysis.evaluation.experiment import LIVE_ROW, NULL_ROW
from rtrecon.analysis.evaluation.result import EvaluationResult
from rtrecon.analysis.evaluation.scores import ClipResult
from rtrecon.analysis.evaluation.statistic import StatisticRow, StatisticTable
from rtrecon.analysis.html import BLUE, GRAY, VERMILION, make_filmstrip
from rtrecon.core.figures import save_png
from rtrecon.core.types import Array

_COLORS = {"visual_field_r": BLUE, "held_out_r": VERMILION}
_NAMES = {"visual_field_r": "movie", "held_out_r": "held-out neurons"}
_A4_INCH = (8.27, 11.69)
_N_FRAMES = 6
_N_COURSE_FRAMES = 400  # of a stimulus that is no picture
_HEIGHTS = (1.0, 1.7, 0.8, 0.75, 0.75)
_WIDTH = 0.38  # of a bar
_CURVES = {
    "lag": "age of the frames, ms",
    "neurons": "neurons used",
    "steps": "steps per hop",
    "encoders": "encoders",
}


def draw_page(evaluation: EvaluationResult, path: Path) -> None:
    """Write a PNG of one A4 page."""
    figure = Figure(_A4_INCH, layout="constrained")
    rows = figure.subfigures(5, 1, squeeze=False, height_ratios=_HEIGHTS)[:, 0]
    _draw_curves(rows[0], evaluation)
    null = evaluation.tables["quality"][NULL_ROW]
    controls = rows[1].subplots()
    _draw_bars(controls, _control_table(evaluation), null)
    controls.legend(frameon=False, loc="lower right", fontsize=8)
    at = rows[2].subplots(1, 4)
    _draw_identifiability(at[0], evaluation)
    _draw_pupil_difference(at[1], evaluation)
    if behavior := evaluation.tables.get("behavior"):
        _draw_bars(at[2], behavior, null)
    else:
        at[2].set_axis_off()
    _draw_clip_series(at[3], evaluation)
    _draw_frames(rows[3].subplots(), "best clip", evaluation.best)
    _draw_frames(rows[4].subplots(), "worst clip", evaluation.worst)
    figure.suptitle(_format_headline(evaluation), fontsize=10)
    save_png(figure, path, dpi=150)


def make_frame_mosaic(made: ClipResult) -> Array:
    """Return uint8: frames of a clip, stimulus above, reconstruction below.

    Without a stimulus, only the reconstruction.
    """
    known = np.flatnonzero(made.select_scored_frames())
    known = known if len(known) else np.arange(len(made.movie))
    chosen = known[np.linspace(0, len(known) - 1, _N_FRAMES).astype(int)]
    shown = made.clip.stimulus
    if not made.clip.space.is_picture:
        return _make_course_mosaic(made)
    rows = [] if shown is None else [make_filmstrip(shown[chosen])]
    return np.concatenate([*rows, make_filmstrip(made.movie[chosen])])


def _make_course_mosaic(made: ClipResult) -> Array:
    """Return uint8 (rows, time): each value of a frame as one row over time."""
    shown = made.clip.stimulus
    courses = [made.movie] if shown is None else [shown, made.movie]
    n_values = made.clip.space.n_values
    rows = [
        course.reshape(-1, n_values).T[::-1, :_N_COURSE_FRAMES] for course in courses
    ]
    return make_filmstrip(np.concatenate(rows)[None])


def _format_headline(evaluation: EvaluationResult) -> str:
    about, live = evaluation.about, evaluation.tables["quality"][LIVE_ROW]
    rest = ", ".join(
        f"{label} {live[name].format()}"
        for name, label in (
            ("frame_r", "frame r"),
            ("held_out_r", "held-out r"),
            ("structural_similarity", "SSIM"),
            ("identification", "identified"),
            ("psnr_db", "PSNR in dB"),
        )
        if live[name].mean is not None
    )
    return (
        f"{evaluation.summarize()}\n{rest}\n{about['neurons']} neurons, "
        f"{about['neurons_held_out']} of them held out; mean ± s.d. (clips of "
        f"{about['frames_per_clip'] / about['rate_hz']:.0f} s)"
    )


def _control_table(evaluation: EvaluationResult) -> StatisticTable:
    live = {"as recorded": evaluation.tables["quality"][LIVE_ROW]}
    return live | evaluation.tables.get("controls", {})


def _draw_curves(part: SubFigure, evaluation: EvaluationResult) -> None:
    tables, null = evaluation.tables, evaluation.tables["quality"][NULL_ROW]
    drawn = [name for name in _CURVES if name in tables]
    all_axes = part.subplots(1, len(drawn), sharey=True)
    for axes, name in zip(all_axes, drawn, strict=True):
        _draw_curve(axes, tables[name], null, _CURVES[name])
    all_axes[0].set_ylabel("r, where the neurons look")


def _draw_curve(
    axes: Axes, table: StatisticTable, null: StatisticRow, label: str
) -> None:
    """Draw r against the varied quantity, with the level of the null."""
    places = np.arange(len(table))
    for name, color in _COLORS.items():
        figures = [row.get(name) for row in table.values()]
        drawn = [
            (x, f) for x, f in zip(places, figures, strict=True) if f and f.n_clips
        ]
        if not drawn:
            continue
        x, y, sd = zip(*((x, f.mean, f.sd) for x, f in drawn), strict=True)
        axes.errorbar(x, y, sd, fmt=".-", color=color, capsize=2)
        _draw_null_level(axes, null, name)
    axes.set_xticks(places, [_shorten_label(text) for text in table])
    axes.set_xlabel(label)


def _draw_null_level(axes: Axes, null: StatisticRow, name: str) -> None:
    level = null[name].mean
    if level is not None:
        axes.axhline(level, color=_COLORS[name], linestyle=":", linewidth=1)


def _shorten_label(text: str) -> str:
    return text.removesuffix(" ms").replace(".0%", "%")


def _draw_bars(axes: Axes, table: StatisticTable, null: StatisticRow) -> None:
    """Draw r of each row as bars, and the level of the null as dotted lines."""
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
    counts = [max(figure.n_clips for figure in row.values()) for row in table.values()]
    axes.set_yticks(
        places,
        [f"{label} ({n})" for label, n in zip(labels, counts, strict=True)],
        fontsize=7,
    )
    axes.set_xlabel("r, dotted: null")


def _draw_identifiability(axes: Axes, evaluation: EvaluationResult) -> None:
    is_picture = evaluation.best.clip.space.is_picture
    image = axes.imshow(
        evaluation.identifiability_map,
        vmin=0,
        vmax=1,
        cmap="viridis",
        aspect="equal" if is_picture else "auto",
    )
    _add_color_bar(axes, image, "identifiability")


def _draw_pupil_difference(axes: Axes, evaluation: EvaluationResult) -> None:
    """Draw the difference of the maps for large and small pupil."""
    large, small = (evaluation.state_maps.get(f"pupil {k}") for k in ("large", "small"))
    if large is None or small is None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "by pupil: not known", ha="center", fontsize=8)
        return
    image = axes.imshow(large - small, vmin=-1, vmax=1, cmap="PuOr")
    _add_color_bar(axes, image, "pupil large - small")


def _add_color_bar(axes: Axes, image: AxesImage, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()
    bar = axes.inset_axes((0.1, -0.22, 0.8, 0.1))
    axes.figure.colorbar(image, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=7)


def _draw_clip_series(axes: Axes, evaluation: EvaluationResult) -> None:
    """Draw r of each clip in order of time, which shows drift."""
    for name, color in _COLORS.items():
        r = [np.nan if clip[name] is None else clip[name] for clip in evaluation.clips]
        axes.plot(np.arange(1, len(r) + 1), r, ".-", color=color)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="clip, in order of time", ylabel="r")


def _draw_frames(axes: Axes, title: str, made: ClipResult) -> None:
    axes.imshow(
        make_frame_mosaic(made), cmap="gray", vmin=0, vmax=255, interpolation="nearest"
    )
    above = "reconstruction"
    if made.clip.stimulus is not None:
        above = "stimulus above, reconstruction below"
    axes.set_title(f"{title}, {made.clip.name}: {above}", fontsize=9)
    axes.set_axis_off()
