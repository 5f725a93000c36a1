"""A session's recording as the daemon keeps it: begun, fed with results, let go."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

from rtrecon import config, wire
from rtrecon.config import Settings
from rtrecon.front.neurons import rates_in
from rtrecon.front.pipeline import REASONS, Pipeline
from rtrecon.front.reports import Reports
from rtrecon.record.store import Recorder
from rtrecon.record.tables import About
from rtrecon.wire import Array


def new_recorder(pipeline: Pipeline, settings: Settings) -> Recorder:
    """Begin to record the session that goes through this pipeline."""
    record = settings.record
    about = _about(pipeline, settings)
    recorder = Recorder(Path(record.folder), about, frames=record.frames)
    # The first word of a replay, also where the recording began later.
    recorder.incoming(wire.encode(pipeline.start), time.time())
    return recorder


def record_result(recorder: Recorder, message: wire.Published, payload: Array) -> None:
    """Record what another station found."""
    if isinstance(message, wire.Movie):
        recorder.movie(message, payload)
    elif isinstance(message, wire.Quality):
        recorder.quality(message)
    elif isinstance(message, wire.Health):
        recorder.health(message)
    elif isinstance(message, wire.Event):
        recorder.event(message)


def retire(recorder: Recorder, reports: Reports) -> None:
    """Let a recording finish by itself: its end may have to wait for a disk."""
    threading.Thread(target=finish, args=(recorder, reports), name="retire").start()


def finish(recorder: Recorder, reports: Reports) -> None:
    """Finish a recording, and have its report written."""
    recorder.close()
    reports.write(recorder)


def disk_free_gb(settings: Settings) -> float | None:
    """Return what is left where recordings go; None if nothing is recorded there."""
    folder = Path(settings.record.folder)
    if not settings.record.enabled or not folder.exists():
        return None
    return shutil.disk_usage(folder).free / 2**30


def _about(pipeline: Pipeline, settings: Settings) -> About:
    start, rois = pipeline.start, pipeline.field.rois
    ids = rois.ids.tolist()
    return About(
        session=start.session,
        roi_ids=ids,
        neuron_ids=ids,
        reasons=REASONS,
        roi_planes=rois.planes.tolist() if len(start.planes) > 1 else [],
        rates_in=rates_in(start),
        rate_hz=start.rate_hz,
        encoder_rate_hz=settings.align.rate_hz,
        hop_frames=settings.invert.hop_frames,
        window_frames=settings.invert.window_frames,
        chunk_s=settings.record.chunk_s,
        keeps_movie=settings.record.movie,
        settings=json.loads(config.dump(settings)),
        meta={"source": start.source, **start.meta},
    )
