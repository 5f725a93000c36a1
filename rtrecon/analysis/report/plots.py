"""Plots of a session: quality, latencies, motion and losses."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rtrecon.analysis.html import BLUE, GRAY, GREEN, PURPLE, VERMILION
from rtrecon.core.types import Array
from rtrecon.metrics.live_metrics import (
    DISPLAYED_METRICS,
    VISUAL_FIELD_CORRELATION,
    Baseline,
    quality_series,
)
from rtrecon.session.session import Session
from rtrecon.session.summary import Summary

_WIDTH_INCH = 8.0
_MAX_POINTS = 600  # of a line: as many as one can see
_N_BINS = 60
_N_COLUMNS = 3
_TICKS_MS = [
    digit * 10.0**power for power in range(-3, 6) for digit in (1, 1.5, 2, 3, 5, 7)
]
_METRIC_COLORS = (VERMILION, BLUE, GREEN, PURPLE)  # by `color_role`
_LINE_STYLES: dict[Baseline | None, str] = {None: "-", "null": ":", "mean_frame": "--"}


def plot_quality(
    session: Session,
    summary: Summary,
    recovered: Array | None,
    visual_field: Array | None = None,
) -> Figure:
    """Draw quality over time, by the age of frames, and on the screen.

    recovered: (height, width) share of each pixel's variance. visual_field: bool
    (height, width); its outline is drawn on that map.
    """
    figure = _make_figure(2.6)
    along, lag, map_axes = figure.subplots(1, 3, width_ratios=(2.2, 1.1, 1.2))
    _draw_quality_series(along, session)
    _draw_lag_curve(lag, session, summary)
    map_axes.set_axis_off()
    if recovered is None:
        map_axes.text(
            0.5, 0.5, "stimulus not known", ha="center", fontsize=8, color=GRAY
        )
        return figure
    is_picture = session.about.stimulus_space.is_picture
    aspect: Literal["equal", "auto"] = "equal" if is_picture else "auto"
    image = map_axes.imshow(recovered, vmin=0, vmax=1, cmap="viridis", aspect=aspect)
    map_axes.set_title("variance recovered", fontsize=9)
    if is_picture and visual_field is not None and not visual_field.all():
        map_axes.contour(visual_field, [0.5], colors="white", linewidths=0.8)
    bar = map_axes.inset_axes((0.1, -0.18, 0.8, 0.08))
    figure.colorbar(image, cax=bar, orientation="horizontal")
    bar.tick_params(labelsize=7)
    return figure


def plot_latencies(session: Session) -> Figure:
    """Draw latencies of each step, intervals between movies, latencies of rules."""
    frames, late = session.frames, _count_late_frames(session)
    movie_s, newest_s = (
        session.movie["t_published_s"],
        session.movie["t_newest_frame_s"],
    )
    live = newest_s >= frames["t_received_s"][late : late + 1].min(initial=np.inf)
    parts = {
        "frame to traces, ms": frames["latency_ms"][late:],
        "frame to movie, ms": 1e3 * (movie_s - newest_s)[live],
        "between movies, ms": 1e3 * np.diff(movie_s[live]),
        **_rule_latencies_ms(session),
    }
    rows = math.ceil(len(parts) / _N_COLUMNS)
    figure = _make_figure(2.2 * rows)
    all_axes = figure.subplots(rows, _N_COLUMNS).ravel()
    for axes, (label, values) in zip(all_axes, parts.items(), strict=False):
        _draw_histogram(axes, values, label)
    for axes in all_axes[len(parts) :]:
        axes.set_axis_off()
    return figure


def plot_frames(session: Session) -> Figure:
    """Draw the motion of the brain, correlation with the template, and losses."""
    table = session.frames
    planes = np.unique(table["plane"]) if len(table) else np.empty(0)
    figure = _make_figure(4.4)
    moved, match, losses = figure.subplots(3, 1, sharex=True, height_ratios=(2, 1.4, 1))
    for plane in planes:
        of_plane = table["plane"] == plane
        t_s = table["t_microscope_s"][of_plane] - table["t_microscope_s"][0]
        label = f", plane {plane:.0f}" if len(planes) > 1 else ""
        for name, color in (("shift_y_px", BLUE), ("shift_x_px", VERMILION)):
            what = f"{name[6]}{label}"
            _draw_envelope(moved, t_s, table[name][of_plane], color, what)
        _draw_envelope(match, t_s, table["confidence"][of_plane], BLUE, f"match{label}")
        z = table["z_offset"][of_plane]
        if np.isfinite(z).any():
            _draw_envelope(match.twinx(), t_s, z, VERMILION, f"z{label}")
    moved.set_ylabel("shift, px")
    match.set_ylabel("match")
    _draw_losses(losses, session)
    losses.set_xlabel("time, s")
    if len(planes):
        moved.legend(frameon=False, ncols=4, fontsize=8, loc="upper right")
    return figure


def _make_figure(height_inch: float) -> Figure:
    return Figure((_WIDTH_INCH, height_inch), layout="constrained")


def _draw_quality_series(axes: Axes, session: Session) -> None:
    rate_hz = session.about.encoder_rate_hz
    t_s = (
        np.array([message.encoder_frame for message in session.quality], float)
        / rate_hz
    )
    for series in quality_series(DISPLAYED_METRICS):
        r = np.array(
            [q.metrics.get(series.name, np.nan) for q in session.quality], np.float64
        )
        if np.isfinite(r).any():
            color = _METRIC_COLORS[series.metric.color_role % len(_METRIC_COLORS)]
            style = _LINE_STYLES[series.baseline]
            axes.plot(t_s, r, style, color=color, label=series.label, linewidth=1.2)
    axes.axhline(0, color=GRAY, linewidth=0.8)
    axes.set(xlabel="time, s", ylabel="r, last 20 s")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            frameon=False, fontsize=7, ncols=2, loc="lower left", bbox_to_anchor=(0, 1)
        )


def _draw_lag_curve(axes: Axes, session: Session, summary: Summary) -> None:
    known = summary[VISUAL_FIELD_CORRELATION.name] or {}
    found = {age: r for age, r in known.items() if r is not None}
    if not found:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "stimulus not known", ha="center", fontsize=8, color=GRAY)
        return
    frame_s = 1 / session.about.encoder_rate_hz
    names = [age if age == "final" else f"{int(age) * frame_s:.1f}" for age in found]
    axes.plot(range(len(found)), list(found.values()), ".-", color=BLUE)
    axes.set_xticks(range(len(found)), names)
    for baseline in VISUAL_FIELD_CORRELATION.baselines:
        level = summary[VISUAL_FIELD_CORRELATION.baseline_name(baseline)]
        if level is not None:
            style = _LINE_STYLES[baseline]
            axes.axhline(level, color=BLUE, linestyle=style, linewidth=1)
    axes.set(xlabel="age of the frames, s", ylabel="r with the stimulus")


def _count_late_frames(session: Session) -> int:
    """Return how many frames waited for a reference; their latency is no latency."""
    health = [h for h in session.health if h.process == "daemon" and h.latency_ms]
    if not health or "frame_to_traces" not in health[-1].latency_ms:
        return 0
    counted = health[-1].latency_ms["frame_to_traces"].n
    return max(0, len(session.frames) - counted) if counted else 0


def _rule_latencies_ms(session: Session) -> dict[str, Array]:
    """Return the latency from a frame to the events of rules, by kind of rule.

    Rules on activity and rules on the movie are separate, because the movie waits for
    its hop. Rules on other values know no frame.
    """
    rules = session.about.settings.get("closed_loop", {}).get("rules", [])
    on_activity = {rule["name"] for rule in rules if "activity" in rule["when"]}
    found: dict[str, list[float]] = {}
    for event in session.events:
        if event.rule and event.t_frame is not None:
            what = "activity" if event.rule in on_activity else "movie"
            label = f"frame to event, {what} rules, ms"
            found.setdefault(label, []).append(1e3 * (event.t - event.t_frame))
    return {label: np.array(found[label]) for label in sorted(found)}


def _draw_histogram(axes: Axes, values_ms: Array, label: str) -> None:
    axes.set_xlabel(label)
    positive = values_ms[values_ms > 0]
    if not len(positive):
        axes.text(0.5, 0.5, "none", ha="center", transform=axes.transAxes, color=GRAY)
        return
    bins = np.geomspace(positive.min() / 1.01, positive.max() * 1.01, _N_BINS)
    axes.hist(positive, bins.tolist(), color=BLUE)
    axes.set(xscale="log", yscale="log")
    ticks = [tick for tick in _TICKS_MS if bins[0] <= tick <= bins[-1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    p50, p99 = np.percentile(positive, (50, 99))
    for value, name in ((p50, "p50"), (p99, "p99")):
        axes.axvline(value, color=VERMILION, linewidth=1)
        axes.annotate(
            name, (value, 0.9), xycoords=("data", "axes fraction"), fontsize=7
        )
    title = f"p50 {p50:.3g}, p99 {p99:.3g}, max {positive.max():.3g} ms"
    axes.set_title(title, fontsize=8)


def _draw_envelope(
    axes: Axes, t_s: Array, values: Array, color: str, label: str
) -> None:
    """Draw the mean of few frames as a line, their range as a band."""
    parts = np.array_split(np.arange(len(t_s)), min(len(t_s), _MAX_POINTS))
    rows = [(t_s[part[0]], *_finite_range(values[part])) for part in parts if len(part)]
    at, low, mean, high = np.array(rows).T
    axes.fill_between(at, low, high, color=color, alpha=0.25, linewidth=0)
    axes.plot(at, mean, color=color, linewidth=1, label=label)


def _finite_range(values: Array) -> tuple[float, float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return np.nan, np.nan, np.nan
    return float(known.min()), float(known.mean()), float(known.max())


def _draw_losses(axes: Axes, session: Session) -> None:
    """Draw lost and rejected frames per second."""
    table = session.frames
    axes.set_ylabel("frames per s")
    t_s = table["t_microscope_s"] - table["t_microscope_s"].min(initial=np.inf)
    first = table["plane"] == 0  # a volume's counter counts for all its planes
    jumps = np.maximum(np.diff(table["frame"][first], prepend=np.nan) - 1, 0)
    lost = _count_per_second(t_s[first], np.nan_to_num(jumps))
    rejected = _count_per_second(t_s, table["is_accepted"] == 0)
    for counts, color, label in (
        (lost, VERMILION, "lost"),
        (rejected, GRAY, "rejected"),
    ):
        axes.bar(
            np.arange(len(counts)), counts, 1, align="edge", color=color, label=label
        )
    if lost.any() or rejected.any():
        axes.legend(frameon=False, ncols=2, fontsize=8, loc="upper right")
        return
    axes.set(ylim=(0, 1), yticks=[])
    axes.text(
        0.5,
        0.5,
        "none lost, none rejected",
        ha="center",
        color=GRAY,
        transform=axes.transAxes,
    )


def _count_per_second(t_s: Array, counts: Array) -> Array:
    return np.bincount(t_s.astype(int), counts) if len(t_s) else np.zeros(1)
