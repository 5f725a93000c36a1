"""A session's recording as the daemon keeps it: begun, fed with results, let go."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path

from rtrecon import config
from rtrecon.config import Settings
from rtrecon.core.types import Array
from rtrecon.daemon.field_neurons import rates_in
from rtrecon.daemon.pipeline import REASONS, Pipeline
from rtrecon.daemon.report_writer import Reports
from rtrecon.protocol import messages
from rtrecon.session.recorder import Recorder
from rtrecon.session.tables import About


def new_recorder(pipeline: Pipeline, settings: Settings) -> Recorder:
    """Begin to record the session that goes through this pipeline."""
    record = settings.record
    about = _about(pipeline, settings)
    recorder = Recorder(Path(record.folder), about, frames=record.frames)
    # The first word of a replay, also where the recording began later.
    recorder.incoming(messages.encode(pipeline.start), time.time())
    return recorder


def record_result(
    recorder: Recorder, message: messages.Published, payload: Array
) -> None:
    """Record what another station found."""
    if isinstance(message, messages.Movie):
        recorder.movie(message, payload)
    elif isinstance(message, messages.Quality):
        recorder.quality(message)
    elif isinstance(message, messages.Health):
        recorder.health(message)
    elif isinstance(message, messages.Event):
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
