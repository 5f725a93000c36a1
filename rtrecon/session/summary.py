"""A session summarized in a dozen figures that are computed from its recording."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from rich.table import Table as RichTable

from rtrecon.core.types import Array
from rtrecon.metrics.live_metrics import (
    DISPLAYED_METRICS,
    PIXEL_CORRELATION,
    VISUAL_FIELD_CORRELATION,
    quality_series,
)
from rtrecon.metrics.similarity import video_correlation
from rtrecon.protocol import messages
from rtrecon.session.frame_balance import balance_frames
from rtrecon.session.movie_pairs import MoviePairs
from rtrecon.session.movie_reader import select_final_frames, select_frames_at_lag
from rtrecon.session.session import Session
from rtrecon.session.visual_field import read_visual_field

# Enough frames for a correlation; more would only take more memory.
MAX_FRAMES = 4096

Summary = dict[str, Any]


def summarize_session(session: Session, extra: Summary | None = None) -> Summary:
    """Return the session's figures; None where the recording does not say.

    extra: figures that a recording cannot hold, such as `frames_sent` or the display's
    `peak_memory_mb`; they are added or replace those computed here.
    """
    daemon = [health for health in session.health if health.process == "daemon"]
    inverter = [health for health in session.health if health.process == "inverter"]
    balance = balance_frames(daemon[-1]) if daemon else None
    summary: Summary = {
        "frames_sent": balance.n_sent if balance else None,
        "frames_received": _find_last(health.frames_received for health in daemon),
        "frames_processed": _find_last(health.frames_processed for health in daemon),
        "frames_lost": balance.losses if balance else None,
        "conditions": _collect_conditions(daemon) or None,
        "gaps": _find_last(msgspec.structs.asdict(health.gaps) for health in daemon),
        "latency_ms": _summarize_latencies(session),
        "realtime_factor": _find_last(
            h.realtime_factor for h in daemon if _is_running(h)
        ),
        "steps_per_hop": _average(session.movie["n_steps"]),
        "clock_error_ms": _summarize_latency(daemon, "clock_error"),
        "monitor_lag_ms": _summarize_latency(daemon, "monitor_lag"),
        "pictures": _find_last(health.pictures for health in daemon) or None,
        "deadline_misses": _find_last(health.deadline_misses for health in inverter),
        **_correlate_pixels(session),
        **_average_metrics(session),
        "peak_memory_mb": {
            "daemon": _find_peak_memory_mb(daemon),
            "inverter": _find_peak_memory_mb(inverter),
        },
    }
    return _merge_summaries(summary, extra or {})


def make_summary_table(summary: Summary) -> RichTable:
    """Return the figures as a plain table for `rich.print`."""
    table = RichTable("figure", "value", box=None, pad_edge=False)
    for name, value in format_figures(summary):
        table.add_row(name, value)
    return table


def format_figures(summary: Summary) -> list[tuple[str, str]]:
    """Return each figure's name and value as text."""
    return [
        (name, "not known" if value is None else _format_value(value))
        for name, value in _flatten_summary(summary)
    ]


def _summarize_latencies(session: Session) -> Summary:
    """Return latencies as a process measured them, else computed from the rows."""
    measured: dict[str, messages.LatencyPercentiles] = {}
    for health in session.health:
        measured.update({k: p for k, p in health.latency_ms.items() if p.n})
    movie = session.movie
    rows = {
        "frame_to_traces": session.frames["latency_ms"],
        "activity_to_movie": np.empty(0),
        "hop": np.empty(0),
        "frame_to_movie": 1e3 * (movie["t_published_s"] - movie["t_newest_frame_s"]),
    }
    if "frame_to_event" in measured:
        rows["frame_to_event"] = np.empty(0)  # only with closed-loop rules
    return {
        name: (
            _select_percentiles(measured[name])
            if name in measured
            else _compute_percentiles(values)
        )
        for name, values in rows.items()
    }


def _summarize_latency(
    daemon: list[messages.Health], name: str
) -> dict[str, float] | None:
    """Return the last of a latency; None if it was not measured.

    `clock_error`: of converting other clocks; `monitor_lag`: see `screen_timing`.
    """
    latency_ms = _find_last(health.latency_ms.get(name) for health in daemon)
    is_measured = latency_ms is not None and latency_ms.n
    return _select_percentiles(latency_ms) if is_measured else None


def _select_percentiles(latency: messages.LatencyPercentiles) -> dict[str, float]:
    return {name: getattr(latency, name) for name in ("p50", "p95", "p99", "max")}


def _compute_percentiles(values_ms: Array) -> dict[str, float] | None:
    if not len(values_ms):
        return None
    p50, p95, p99, largest = np.percentile(values_ms, [50, 95, 99, 100]).tolist()
    return {"p50": p50, "p95": p95, "p99": p99, "max": largest}


def _correlate_pixels(session: Session) -> Summary:
    """Return r of movie and stimulus where the neurons look, and on the whole screen.

    Each by lag in encoder frames, and for final images; None without a stimulus.
    """
    in_field, on_screen = VISUAL_FIELD_CORRELATION.name, PIXEL_CORRELATION.name
    if not len(session.stimulus):
        return {in_field: None, on_screen: None}
    lags = session.about.stimulus_space.lags_frames
    movies = {str(lag): select_frames_at_lag(session.movie, lag) for lag in lags}
    movies["final"] = select_final_frames(session.movie)
    visual_field = read_visual_field(session)
    found: Summary = {in_field: {}, on_screen: {}}
    for lag, movie in movies.items():
        pair = _read_pairs(MoviePairs.match_frames(session, movie))
        found[on_screen][lag] = _correlate_with_stimulus(pair, None)
        found[in_field][lag] = (
            None
            if visual_field is None
            else _correlate_with_stimulus(pair, visual_field)
        )
    return found


def _read_pairs(pairs: MoviePairs) -> tuple[Array, Array] | None:
    blocks = list(pairs.iterate_blocks(MAX_FRAMES))
    if not blocks:
        return None
    movie, stimulus = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return movie, stimulus


def _collect_conditions(daemon: list[messages.Health]) -> dict[str, str]:
    """Return what was wrong at any time, by name, as it was reported last."""
    conditions = dict[str, str]()
    for health in daemon:
        conditions |= health.conditions
    return conditions


def _correlate_with_stimulus(
    pair: tuple[Array, Array] | None, mask: Array | None
) -> float | None:
    r = np.nan if pair is None else video_correlation(*pair, mask)
    return None if np.isnan(r) else r


def _average_metrics(session: Session) -> Summary:
    """Return the mean over the session of the most important live metrics.

    Correlations with the stimulus are left out: they are computed again from the
    recorded movie. Their baselines are included.
    """
    computed = {VISUAL_FIELD_CORRELATION.name, PIXEL_CORRELATION.name}
    metrics = (*DISPLAYED_METRICS, PIXEL_CORRELATION)
    return {
        series.name: average_published(session, series.name)
        for series in quality_series(metrics)
        if series.name not in computed
    }


def average_published(session: Session, name: str) -> float | None:
    """Return the mean over the session of a published series; None without a value."""
    values = [q.metrics[name] for q in session.quality if name in q.metrics]
    return float(np.mean(values)) if values else None


def _is_running(health: messages.Health) -> bool:
    # Before and after the stream, a rate means nothing.
    return health.state == "running"


def _find_last(values: Iterable[Any]) -> Any:
    present = [value for value in values if value is not None]
    return present[-1] if present else None


def _find_peak_memory_mb(healths: list[messages.Health]) -> float | None:
    # The largest, because a restarted process starts again; 0 means not measured.
    return max((h.peak_memory_mb for h in healths), default=0.0) or None


def _average(values: Array) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _merge_summaries(summary: Summary, extra: Summary) -> Summary:
    merged = dict(summary)
    for name, value in extra.items():
        are_both_dicts = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = (
            _merge_summaries(merged[name], value) if are_both_dicts else value
        )
    return merged


def _flatten_summary(summary: Summary, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in summary.items():
        if isinstance(value, dict):
            yield from _flatten_summary(value, f"{prefix}{name} ")
        else:
            yield prefix + name, value


def _format_value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
