"""Training on simulated neurons of another sense: spike counts in place of images."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.encoder.card import RATE_UNITS
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.rois.roi_set import build_unit_roi_set
from rtrecon.simulate.sensory_session import (
    SensoryOptions,
    SensorySession,
    simulate_sensory_session,
)
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.training.compact.fit import TrainingRecipe
from rtrecon.training.score import correlate_columns
from rtrecon.training.train import (
    DEFAULT_OPTIONS,
    TrainingOptions,
    require_form_of_space,
    train_encoder,
    validate_training,
)
from rtrecon.training.training_data import (
    MIN_VALIDATION_FRAMES,
    Segment,
    SegmentSource,
    TrainedNeurons,
    TrainingData,
    add_metadata,
    assemble,
    count_validation_frames,
    split_last,
)

TRAINING_SEED = 100  # of stimuli that no demo or test shows


@dataclass(frozen=True)
class SensoryTraining:
    """A simulated session to train on: its neurons and its length."""

    neurons: SensoryOptions
    minutes: float = 10.0


def train_on_sense(
    plan: SensoryTraining,
    recipe: TrainingRecipe,
    path: Path,
    on_progress: ProgressCallback,
    options: TrainingOptions = DEFAULT_OPTIONS,
) -> Checkpoint:
    """Simulate, fit, calibrate and save an encoder at `path`.

    Raises UserError at the start, not after an hour, if the plan is impossible.
    """
    sense = plan.neurons.find_sense()
    _check_plan(plan, recipe, options, sense.space)
    validate_training(path, recipe, options)
    n_frames = round(plan.minutes * 60 * sense.space.rate_hz)
    on_progress("simulating", 0.0, f"{plan.minutes:g} min of {sense.space.name}")
    levels = sense.make_stimulus(n_frames, TRAINING_SEED)
    subject = plan.neurons.make_subject()
    session = simulate_sensory_session(subject, levels, TRAINING_SEED)
    on_progress("simulating", 1.0, f"{n_frames} frames")
    data = _make_training_data(session, plan.neurons, sense.space)
    data = add_metadata(
        replace(data, notices=()),  # the behavior that this simulation does not have
        _compute_ceiling(session),
        units=RATE_UNITS,
        rate_hz=sense.space.rate_hz,
        minutes=plan.minutes,
        **plan.neurons.to_metadata(),
    )
    return train_encoder(data, recipe, path, on_progress, options)


def _check_plan(
    plan: SensoryTraining,
    recipe: TrainingRecipe,
    options: TrainingOptions,
    space: StimulusSpace,
) -> None:
    require_form_of_space(space, options)
    if recipe.cutmix_fraction:
        raise UserError(f"--cutmix is for pictures; leave it out for {space.name}")
    min_frames = recipe.batch_frames + 2 * MIN_VALIDATION_FRAMES
    min_minutes = math.ceil(10 * min_frames / (60 * space.rate_hz)) / 10
    if not plan.minutes >= min_minutes:  # also refuses NaN
        raise UserError(
            f"a session of {plan.minutes:g} minutes is too short to train on; "
            f"give {min_minutes:g} or more"
        )


def _make_training_data(
    session: SensorySession, neurons: SensoryOptions, space: StimulusSpace
) -> TrainingData:
    n_frames = len(session.levels)
    behavior = np.full((n_frames, len(BEHAVIOR)), np.nan, np.float32)
    whole = Segment(session.levels, behavior, session.counts)
    first, last = split_last([whole], count_validation_frames(n_frames))
    units = build_unit_roi_set(neurons.neuron_ids)
    return assemble(
        SegmentSource(first, n_frames),
        SegmentSource(last, n_frames),
        TrainedNeurons(units, np.zeros((1, *units.shape), np.float32)),
        space,
    )


def _compute_ceiling(session: SensorySession) -> Array:
    """Return (n,) r of counts with the rates that caused them."""
    n_validation = count_validation_frames(len(session.counts)) - (MEMORY_FRAMES - 1)
    last = slice(len(session.counts) - n_validation, None)
    return correlate_columns(session.counts[last], session.rates[last])
