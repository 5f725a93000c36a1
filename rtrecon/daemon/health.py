"""Publishes the daemon's health at regular intervals."""

from __future__ import annotations

from time import monotonic
from typing import Any

from rtrecon.core.frame_intervals import is_time_lapse
from rtrecon.daemon.context import DaemonContext
from rtrecon.daemon.pipeline import Pipeline
from rtrecon.daemon.session_manager import SessionManager
from rtrecon.daemon.standing_conditions import list_conditions
from rtrecon.metrics.memory import MemoryMeter
from rtrecon.protocol import messages
from rtrecon.session.session_files import TIME_LAPSE_HEALTH_S


class HealthReporter:
    """Collects the counters of the daemon, and publishes and records them."""

    def __init__(self, context: DaemonContext, sessions: SessionManager) -> None:
        self._context = context
        self._sessions = sessions
        self._memory = MemoryMeter()
        self._interval_s = context.settings.network.health_interval_s
        self._due_s = self._record_due_s = 0.0
        self._recorded: tuple[object, ...] = ()  # what may change, of the newest one

    def publish_if_due(self, now_s: float) -> None:
        """Publish the health when it is due; call it often."""
        if now_s >= self._due_s:
            self._due_s = now_s + self._interval_s
            self._record_health(self._publish_health(), now_s)

    def publish_health(self) -> messages.Health:
        """Publish, record and return the health; report a recording that has failed."""
        health = self._publish_health()
        self._context.recording.record_result(health)
        return health

    def _record_health(self, health: messages.Health, now_s: float) -> None:
        """Record a periodic health; that of a time-lapse rarely changes."""
        pipeline = self._sessions.pipeline
        is_slow = pipeline is not None and is_time_lapse(pipeline.planes.rate_hz)
        changing = (
            health.session,
            health.state,
            health.frames_received,
            health.frames_processed,
            health.rejected_messages,
            health.conditions.keys(),
        )
        is_new = changing != self._recorded or now_s >= self._record_due_s
        if is_slow and not is_new:
            return
        self._recorded, self._record_due_s = changing, now_s + TIME_LAPSE_HEALTH_S
        self._context.recording.record_result(health)

    def _publish_health(self) -> messages.Health:
        context = self._context
        health: messages.Health = context.publisher.publish(
            messages.Health,
            process="daemon",
            state=self._sessions.state,
            lost=self._count_lost(),
            queue_depth=self._count_queued(),
            memory_mb=self._memory.measure_mb(),
            peak_memory_mb=self._memory.peak_mb,
            disk_free_gb=context.recording.get_free_disk_gb(),
            has_inverter=context.workers.inverter is not None,
            conditions=list_conditions(context, self._sessions, monotonic()),
            **self._count_received(),
            **_measure_pipeline(self._sessions.pipeline),
        )
        if failure := context.recording.take_failure():
            context.events.publish_event("recording", failure)
        return health

    def _count_received(self) -> dict[str, Any]:
        counts = self._context.ingest.counts
        return {
            "frames_sent": counts.frames_sent,
            "frames_received": counts.frames_received,
            "rejected_messages": counts.rejected_messages,
            "gaps": counts.gaps,
        }

    def _count_lost(self) -> dict[str, int]:
        """Return how many messages or frames were lost where; all should be 0."""
        recorder, pipeline = self._context.recording.recorder, self._sessions.pipeline
        counts = self._context.ingest.counts
        # Without a pipeline, the session itself was refused.
        n_refused = counts.frames_refused if pipeline else counts.frames_received
        return {
            "sender": counts.dropped_now,
            "earlier": counts.dropped_earlier,
            "refused": n_refused,
            "unreadable": counts.frames_unreadable,
            "record": recorder.n_lost if recorder else 0,
            "incoming": recorder.n_raw_messages_lost if recorder else 0,
            "reference": pipeline.planes.n_unusable if pipeline else 0,
            "unpaired": pipeline.pairing.n_unpaired if pipeline else 0,
            "unprocessed": self._sessions.n_unprocessed,
            "failed": self._context.errors.n_failed,
            "publish": self._context.publisher.n_lost,
        }

    def _count_queued(self) -> dict[str, int]:
        """Return how many frames are not processed yet, but can still be."""
        n_queued = self._sessions.count_queued_images()
        return {"frames": n_queued - self._sessions.n_unprocessed}


def _measure_pipeline(pipeline: Pipeline | None) -> dict[str, Any]:
    if pipeline is None:
        return {}
    output = pipeline.output
    latency_ms = {name: each.percentiles() for name, each in output.latency.items()}
    return {
        "rate_hz": output.frame_rate.rate_hz(monotonic()),
        "frames_processed": output.n_processed,
        "latency_ms": latency_ms,
        "rejected_frames": dict(output.n_rejected),
        "pictures": _count_pictures(pipeline),
        "realtime_factor": pipeline.realtime_factor(),
        "frame_interval_s": 1 / pipeline.planes.rate_hz,
    }


def _count_pictures(pipeline: Pipeline) -> dict[str, int]:
    """Return pictures that a photodiode judged; empty without one."""
    screen = pipeline.auxiliary.screen
    if screen is None:
        return {}
    return {"judged": screen.n_pictures, "without edge": screen.n_lost}
