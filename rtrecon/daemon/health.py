"""What a daemon tells about its own health, once a second."""

from __future__ import annotations

from time import monotonic
from typing import Any

from rtrecon.daemon.ingest import Counts
from rtrecon.daemon.pipeline import Pipeline


def vitals(counts: Counts, pipeline: Pipeline | None) -> dict[str, Any]:
    """Return fields of `wire.Health` that come from what the session went through."""
    told: dict[str, Any] = {
        "frames_received": counts.received,
        "rejected": counts.rejected,
        "gaps": counts.gaps,
        "lost": {"sender": counts.dropped} | _lost(pipeline),
    }
    if pipeline is None:
        return told
    latency = pipeline.latency.items()
    return told | {
        "rate_hz": pipeline.rate.rate_hz(monotonic()),
        "frames_processed": pipeline.processed,
        "latency_ms": {name: histogram.percentiles() for name, histogram in latency},
        "untrusted": dict(pipeline.untrusted),
        "realtime_factor": pipeline.realtime_factor(),
    }


def _lost(pipeline: Pipeline | None) -> dict[str, int]:
    recorder = pipeline.recorder if pipeline else None
    return {
        "record": recorder.lost if recorder else 0,
        "incoming": recorder.incoming_lost if recorder else 0,
        "reference": pipeline.unusable if pipeline else 0,
        "unpaired": pipeline.unpaired if pipeline else 0,
    }
