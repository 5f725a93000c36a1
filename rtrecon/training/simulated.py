"""Training on a simulated session, imaged and processed by the code that runs live."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.imaging.frame_processor import FrameProcessor
from rtrecon.imaging.registration.registrar import make_template
from rtrecon.imaging.traces.neuropil import make_cell_masks
from rtrecon.simulate.imaged_mouse import (
    ImagedMouse,
    ImagedMouseOptions,
    make_imaged_mouse,
)
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import SimulatedSession, simulate_session
from rtrecon.simulate.subjects.registry import pin_subject_file
from rtrecon.simulate.training_movie import MovieFolders, make_training_movie
from rtrecon.training.compact.fit import TrainingRecipe
from rtrecon.training.score import correlate_columns
from rtrecon.training.train import (
    DEFAULT_OPTIONS,
    TrainingOptions,
    train_encoder,
    validate_training,
)
from rtrecon.training.training_data import (
    CLIP_FRAMES,
    MIN_VALIDATION_FRAMES,
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

_TRAINING_SEED, _REFERENCE_SEED = 100, 99  # of movies that no demo or test shows
_TEMPLATE_FRAMES = 100


@dataclass(frozen=True)
class SimulatedTraining:
    """A simulated session to train on: its length, its mouse and its movies."""

    minutes: float = 20.0
    mouse: ImagedMouseOptions = field(default_factory=ImagedMouseOptions)
    movies: MovieFolders = field(default_factory=MovieFolders)


@dataclass(frozen=True)
class AcquiredSession:
    """A session with the activity that the live processing measured.

    activity: (T - lag, n), aligned with the movie; deconvolution lags behind, so the
    last frames have none.
    """

    session: SimulatedSession
    template: Array
    activity: Array


def train_on_simulation(
    plan: SimulatedTraining,
    recipe: TrainingRecipe,
    settings: Settings,
    path: Path,
    on_progress: ProgressCallback,
    options: TrainingOptions = DEFAULT_OPTIONS,
) -> Checkpoint:
    """Simulate, acquire, fit, calibrate and save an encoder at `path`.

    Raises UserError at the start, not after an hour, if the plan is impossible.
    """
    _require_long_enough(plan, recipe, settings.traces.deconvolution_lag_frames)
    validate_training(path, recipe, options)
    mouse = replace(plan.mouse, subject=pin_subject_file(plan.mouse.subject))
    world = make_imaged_mouse(mouse)
    n_frames = round(plan.minutes * 60 * RATE_HZ)
    shown = make_training_movie(plan.movies, n_frames, _TRAINING_SEED, CLIP_FRAMES)
    on_progress("simulating", 0.0, shown.describe())
    session = simulate_session(world, shown.movie, "training", _TRAINING_SEED)
    on_progress("simulating", 1.0, f"{n_frames} frames")
    acquired = acquire_session(world, session, settings, on_progress)
    origin = {
        "simulated": {
            "minutes": plan.minutes,
            **mouse.to_metadata(),
            "movies": shown.n_clips,
            "files": list(shown.files),
        }
    }
    return train_on_acquired(
        acquired, recipe, settings, path, on_progress, origin, options
    )


def train_on_acquired(
    acquired: AcquiredSession,
    recipe: TrainingRecipe,
    settings: Settings,
    path: Path,
    on_progress: ProgressCallback,
    origin: dict[str, Any],
    options: TrainingOptions = DEFAULT_OPTIONS,
) -> Checkpoint:
    """Fit, calibrate and save; the last tenth of the frames validates.

    origin: metadata for the checkpoint on where the frames came from.
    """
    data = add_metadata(
        _make_training_data(acquired),
        _compute_ceiling(acquired),
        rate_hz=settings.timing.encoder_rate_hz,
        traces=settings.traces.model_dump(),
        **origin,
    )
    return train_encoder(data, recipe, path, on_progress, options)


def acquire_session(
    world: ImagedMouse,
    session: SimulatedSession,
    settings: Settings,
    on_progress: ProgressCallback,
) -> AcquiredSession:
    """Image a session and process its frames as the daemon does."""
    template = _image_template(world)
    masks = make_cell_masks(world.field.masks, settings.traces)
    processor = FrameProcessor(template, masks, session.rate_hz, settings)
    pixels = np.empty(template.shape, np.int16)
    activity = np.empty((len(session), len(world.field.masks)), np.float32)
    for index in range(len(session)):
        session.recording.render_frame(index, pixels)
        activity[index] = processor.process_frame(pixels).activity
        if index % 100 == 0:
            detail = f"frame {index} of {len(session)}"
            on_progress("imaging", index / len(session), detail)
    on_progress("imaging", 1.0, f"{len(session)} frames")
    lag = settings.traces.deconvolution_lag_frames
    return AcquiredSession(session, template, activity[lag:])


def _make_training_data(acquired: AcquiredSession) -> TrainingData:
    session, n_frames = acquired.session, len(acquired.activity)
    behavior = session.behavior.stack_measured()
    whole = Segment(session.movie[:n_frames], behavior[:n_frames], acquired.activity)
    settled = whole.slice_frames(SETTLE_FRAMES, n_frames)
    first, last = split_last([settled], count_validation_frames(len(settled)))
    return assemble(
        SegmentSource(first, len(settled)),
        SegmentSource(last, len(settled)),
        TrainedNeurons(session.recording.field.masks, acquired.template[None]),
    )


def _compute_ceiling(acquired: AcquiredSession) -> Array:
    """Return (n,) r of activity with the rates that movie and behavior cause."""
    n_frames = len(acquired.activity)
    n_settled = n_frames - SETTLE_FRAMES
    n_validation = count_validation_frames(n_settled) - (MEMORY_FRAMES - 1)
    validation = slice(n_frames - n_validation, n_frames)
    rate = acquired.session.response.rate
    return correlate_columns(acquired.activity[validation], rate[validation])


def _require_long_enough(
    plan: SimulatedTraining, recipe: TrainingRecipe, lag_frames: int
) -> None:
    min_frames = SETTLE_FRAMES + recipe.batch_frames + MIN_VALIDATION_FRAMES
    min_minutes = math.ceil(10 * (min_frames + lag_frames) / (60 * RATE_HZ)) / 10
    if not plan.minutes >= min_minutes:  # also refuses NaN
        raise UserError(
            f"a session of {plan.minutes:g} minutes is too short to train on; "
            f"give {min_minutes:g} or more"
        )


def _image_template(world: ImagedMouse) -> Array:
    """Image the field for some seconds, as before a session, and average the frames."""
    movie = make_natural_movie(_TEMPLATE_FRAMES, _REFERENCE_SEED)
    reference = simulate_session(world, movie, "reference", _REFERENCE_SEED).recording
    blank = np.empty(world.field.tissue.shape, np.int16)
    frames = [
        reference.render_frame(index, blank).copy() for index in range(len(reference))
    ]
    return make_template(np.stack(frames))
