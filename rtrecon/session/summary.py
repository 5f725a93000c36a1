"""A session in a dozen figures, taken from what was recorded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from rich.table import Table as RichTable

from rtrecon.core.types import Array
from rtrecon.protocol import messages
from rtrecon.session.movie_pairs import Pairs
from rtrecon.session.movie_reader import told_at_lag, told_finally
from rtrecon.session.session import Session

LAGS_FRAMES = (3, 6, 12, 24)
# A correlation over this many frames needs no more of them, and memory is bounded.
MOST_FRAMES = 4096

Summary = dict[str, Any]


def summarise(session: Session, extra: Summary | None = None) -> Summary:
    """Return the session's figures; None where nothing was recorded to tell.

    `extra` are figures that a recording cannot hold, such as `frames_sent` or the
    display's share of `peak_memory_mb`; they are added, or replace what is here.
    """
    front = [health for health in session.health if health.station == "front"]
    inverter = [health for health in session.health if health.station == "inverter"]
    summary: Summary = {
        "frames_sent": None,
        "frames_received": _last(health.frames_received for health in front),
        "frames_processed": _last(health.frames_processed for health in front),
        "gaps": _last(msgspec.structs.asdict(health.gaps) for health in front),
        "latency_ms": _latencies(session),
        "realtime_factor": _last(h.realtime_factor for h in front if _running(h)),
        "steps_per_hop": _mean(session.movie["steps"]),
        "align_error_ms": _align_error(front),
        "deadline_misses": _last(health.deadline_misses for health in inverter),
        "pixel_correlation": _pixel_correlations(session),
        **_qualities(session),
        "peak_memory_mb": {
            "front": _peak_memory_mb(front),
            "inverter": _peak_memory_mb(inverter),
        },
    }
    return _merged(summary, extra or {})


def summary_table(summary: Summary) -> RichTable:
    """Return the figures as a plain table for `rich.print`."""
    table = RichTable("figure", "value", box=None, pad_edge=False)
    for name, value in figures(summary):
        table.add_row(name, value)
    return table


def figures(summary: Summary) -> list[tuple[str, str]]:
    """Return each figure's name and value for a reader."""
    return [
        (name, "not known" if value is None else _short(value))
        for name, value in _flat(summary)
    ]


def _latencies(session: Session) -> Summary:
    """Take a latency from the process that measured it, else from the rows."""
    measured: dict[str, messages.Percentiles] = {}
    for health in session.health:
        measured.update({k: p for k, p in health.latency_ms.items() if p.n})
    movie = session.movie
    rows = {
        "frame_to_traces": session.frames["latency_ms"],
        "activity_to_movie": np.empty(0),
        "hop": np.empty(0),
        "frame_to_movie": 1e3 * (movie["t"] - movie["t_frame"]),
    }
    if "frame_to_event" in measured:
        rows["frame_to_event"] = np.empty(0)  # where there were rules to react by
    return {
        name: _chosen(measured[name]) if name in measured else _percentiles(values)
        for name, values in rows.items()
    }


def _align_error(front: list[messages.Health]) -> dict[str, float] | None:
    """Return how well other clocks are known; None where all tell the microscope's."""
    told = _last(health.latency_ms.get("align_error") for health in front)
    return _chosen(told) if told is not None and told.n else None


def _chosen(latency: messages.Percentiles) -> dict[str, float]:
    return {name: getattr(latency, name) for name in ("p50", "p95", "p99", "max")}


def _percentiles(values_ms: Array) -> dict[str, float] | None:
    if not len(values_ms):
        return None
    p50, p95, p99, largest = np.percentile(values_ms, [50, 95, 99, 100]).tolist()
    return {"p50": p50, "p95": p95, "p99": p99, "max": largest}


def _pixel_correlations(session: Session) -> dict[str, float | None] | None:
    """Return r with the stimulus for each lag in encoder frames, and when final."""
    if not len(session.stimulus):
        return None
    movies = {str(lag): told_at_lag(session.movie, lag) for lag in LAGS_FRAMES}
    movies["final"] = told_finally(session.movie)
    return {
        age: _with_stimulus(Pairs.of(session, told)) for age, told in movies.items()
    }


def _with_stimulus(pairs: Pairs) -> float | None:
    blocks = list(pairs.blocks(MOST_FRAMES))
    if not blocks:
        return None
    made, shown = (np.concatenate(part).ravel() for part in zip(*blocks, strict=True))
    if np.ptp(made) == 0 or np.ptp(shown) == 0:
        return None
    return float(np.corrcoef(made, shown)[0, 1])


def _qualities(session: Session) -> Summary:
    return {
        name: _last(getattr(quality, name) for quality in session.quality)
        for name in (
            "activity_correlation",
            "null_correlation",
            "null_pixel_correlation",
        )
    }


def _running(health: messages.Health) -> bool:
    # In silence, before and after the stream, a rate says nothing.
    return health.state == "running"


def _last(values: Iterable[Any]) -> Any:
    known = [value for value in values if value is not None]
    return known[-1] if known else None


def _peak_memory_mb(healths: list[messages.Health]) -> float | None:
    # The largest, not the last: a restarted process begins anew. 0 was not measured.
    return max((h.peak_memory_mb for h in healths), default=0.0) or None


def _mean(values: Array) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _merged(summary: Summary, extra: Summary) -> Summary:
    merged = dict(summary)
    for name, value in extra.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _flat(summary: Summary, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in summary.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name} ")
        else:
            yield prefix + name, value


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
