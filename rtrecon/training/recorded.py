"""Training on a session that rtrecon recorded, with a known stimulus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon import config
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.encoder.card import DFF_UNITS
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.imaging.reference import PlaneReference
from rtrecon.metrics.stimulus_lag.sentences import (
    describe_stimulus_lag,
    explain_missing_relation,
)
from rtrecon.rois import roi_set
from rtrecon.session.resume_state import get_reference_path, load_reference
from rtrecon.session.session import NotASessionError, Session
from rtrecon.session.stimulus_lag import TooShortError, measure_session_lag
from rtrecon.session.table_rows import RowIndex, read_rows
from rtrecon.training.compact.fit import TrainingRecipe
from rtrecon.training.movie_format import (
    AS_RECORDED,
    MovieRequest,
    choose_movie_format,
)
from rtrecon.training.train import (
    DEFAULT_OPTIONS,
    TrainingOptions,
    train_encoder,
    validate_training,
)
from rtrecon.training.training_data import (
    SETTLE_FRAMES,
    Segment,
    SegmentSource,
    TrainedNeurons,
    TrainingData,
    add_metadata,
    assemble,
    count_validation_frames,
    split_last,
)

_MIN_CERTAIN_MINUTES = 5.0


def train_on_session(
    path: Path,
    recipe: TrainingRecipe,
    out: Path,
    on_progress: ProgressCallback,
    options: TrainingOptions = DEFAULT_OPTIONS,
    movie: MovieRequest = AS_RECORDED,
) -> Checkpoint:
    """Fit, calibrate and save an encoder of a session's neurons at `out`.

    movie: size and rate of the movies that the encoder is for.
    """
    validate_training(out, recipe, options)
    data = read_training_data(path, movie)
    notices = check_stimulus_lag(path, ignore_lag=options.ignore_lag)
    data = replace(data, notices=(*data.notices, *notices))
    return train_encoder(data, recipe, out, on_progress, options)


def check_stimulus_lag(path: Path, *, ignore_lag: bool) -> list[str]:
    """Return sentences on whether the session's neurons follow its stimulus.

    UserError if too few do, and the session is long enough to be sure of it.
    """
    try:
        found = measure_session_lag(Session(path))
    except TooShortError:
        return []
    is_certain = found.minutes >= _MIN_CERTAIN_MINUTES
    if found.estimate is None and is_certain and not ignore_lag:
        raise UserError(
            f"{explain_missing_relation(found)}. An encoder would learn nothing from "
            f"{path}; --ignore-lag trains one all the same"
        )
    return list(describe_stimulus_lag(found))


def read_training_data(path: Path, movie: MovieRequest = AS_RECORDED) -> TrainingData:
    """Read a session's folder; UserError where it cannot be trained on.

    movie: size and rate to train on, not finer than recorded.
    The last tenth of the frames validates. Lost activity is left out, and so are frames
    with unknown stimulus and the session's first ten seconds.
    """
    session = _open_session(path)
    movie_format = choose_movie_format(path, session.about, movie)
    segments = [
        converted
        for segment in _read_segments(session)
        for converted in movie_format.convert(segment)
    ]
    n_frames = sum(map(len, segments))
    first, last = split_last(segments, count_validation_frames(n_frames))
    damage = [*session.activity.notices, *session.stimulus.notices]
    reasons = f" ({'; '.join(damage)})" if damage else ""
    if not first:
        raise UserError(
            f"{path} has a known stimulus in {n_frames} frames, too few to train on"
            f"{reasons}; record some minutes, and send the stimulus"
        )
    if not any(np.isfinite(segment.activity).any() for segment in first):
        raise UserError(
            f"{path} has no activity to train on{reasons}; choose another session"
        )
    data = assemble(
        SegmentSource(first, n_frames),
        SegmentSource(last, n_frames),
        read_neurons(session),
        movie_format.space,
    )
    recording = describe_recording(session)
    recording["rate_hz"] /= movie_format.n_merged
    return add_metadata(
        replace(data, notices=(*damage, *data.notices)), None, **recording
    )


def describe_recording(session: Session) -> dict[str, Any]:
    """Return what a checkpoint's metadata say about the session it was trained on."""
    about = session.about
    return {
        "units": about.rate_unit or DFF_UNITS,
        "rate_hz": about.encoder_rate_hz,
        "traces": about.settings.get("traces", {}),
        "session": session.path.resolve().name,
    }


def _open_session(path: Path) -> Session:
    try:
        session = Session(path)
    except NotASessionError as error:
        raise UserError(str(error)) from None
    if not session.about.neuron_ids:
        raise UserError(f"{path} has no neurons; record one with masks")
    return session


def _read_segments(session: Session) -> Iterator[Segment]:
    """Yield runs of consecutive frames in which activity and stimulus are known."""
    activity, stimulus = session.activity, session.stimulus
    activity_indices = activity["encoder_frame"].astype(np.int64)
    stimulus_indices = stimulus["encoder_frame"].astype(np.int64)
    settled = activity_indices[
        activity_indices >= activity_indices.min(initial=0) + SETTLE_FRAMES
    ]
    behavior = session.read_encoder_behavior()
    rows_of_activity, rows_of_stimulus = map(
        RowIndex, (activity_indices, stimulus_indices)
    )
    for run in _split_into_runs(np.intersect1d(settled, stimulus_indices)):
        activity_rows = rows_of_activity.find_last(run)
        yield Segment(
            movie=read_rows(stimulus, rows_of_stimulus.find_last(run)),
            behavior=behavior[activity_rows],
            activity=read_rows(activity, activity_rows),
        )


def _split_into_runs(indices: Array) -> list[Array]:
    """Split increasing indices where one is missing."""
    if not len(indices):
        return []
    return np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)


def read_neurons(session: Session) -> TrainedNeurons:
    """Return the session's masks in the order of its activity, and its templates."""
    if session.about.rate_unit:
        units = roi_set.build_unit_roi_set(np.array(session.about.neuron_ids))
        return TrainedNeurons(units, np.zeros((1, *units.shape), np.float32))
    settings = config.parse(json.dumps(session.about.settings))
    n_planes = 1 + max(session.about.roi_planes, default=0)
    references = [
        _load_reference(get_reference_path(session.path, plane), settings)
        for plane in range(n_planes)
    ]
    pixels, planes = {}, {}
    for plane, reference in enumerate(references):
        cells = reference.masks.cells
        for roi_id, cell_pixels in zip(
            cells.ids.tolist(), cells.list_pixels(), strict=True
        ):
            pixels[roi_id], planes[roi_id] = cell_pixels, plane
    ids = session.about.neuron_ids
    missing = [roi_id for roi_id in ids if roi_id not in pixels]
    if missing:
        raise UserError(
            f"{session.path} has activity of neuron {missing[0]}, but no mask of it"
        )
    shape = references[0].template.shape
    masks = roi_set.build_roi_set(
        np.array(ids),
        (shape[0], shape[1]),
        [pixels[roi_id] for roi_id in ids],
        np.array([planes[roi_id] for roi_id in ids], np.int32),
    )
    return TrainedNeurons(
        masks, np.stack([reference.template for reference in references])
    )


def _load_reference(path: Path, settings: config.Settings) -> PlaneReference:
    try:
        return load_reference(path, settings)[0]
    except UserError as error:
        raise UserError(
            f"{error}; training needs the masks in this file: copy it from a backup, "
            "or choose another session"
        ) from None
