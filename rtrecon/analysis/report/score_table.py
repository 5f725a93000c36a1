"""All live scores of a session as a table: the movie beside its baselines."""

from __future__ import annotations

from rtrecon.metrics.live_metrics import LIVE_METRICS, LiveMetric
from rtrecon.session.session import Session
from rtrecon.session.summary import average_published

SCORE_COLUMNS = ("score", "movie", "null", "mean frame")


def list_score_rows(session: Session) -> list[tuple[str, ...]]:
    """Return a row per live metric that has a value; columns are `SCORE_COLUMNS`.

    Each is the mean over the session of what the inverter published.
    """
    rows = (_make_row(session, metric) for metric in LIVE_METRICS)
    return [row for row in rows if any(row[1:])]


def _make_row(session: Session, metric: LiveMetric) -> tuple[str, ...]:
    names = metric.name, metric.null_name, metric.baseline_name("mean_frame")
    means = (average_published(session, name) for name in names)
    return metric.label, *("" if mean is None else f"{mean:.2f}" for mean in means)
