"""A stretch of simulated session, imaged and read by the chain that runs live."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.config import Settings
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.compact import MEMORY
from rtrecon.imaging.frame_processor import Chain
from rtrecon.imaging.registration.registrar import make_template
from rtrecon.imaging.traces.neuropil import with_rings
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.simulate.session import Session, World, make_session, make_world
from rtrecon.training.calibration import Report
from rtrecon.training.compact.fit import Recipe
from rtrecon.training.score import pearson
from rtrecon.training.split import (
    LEAST_VALIDATION_FRAMES,
    SETTLE_FRAMES,
    keep_last,
    validation_frames,
)
from rtrecon.training.train import FROM_NOTHING, Start, prepare, train_material
from rtrecon.training.training_data import (
    CLIP_FRAMES,
    Material,
    Neurons,
    Stretch,
    Stretches,
    gather,
    with_meta,
)

_TRAINING_SEED, _REFERENCE_SEED = 100, 99  # of movies that no demo or test shows
_TEMPLATE_FRAMES = 100


@dataclass(frozen=True)
class SimulatedTraining:
    """A stretch of simulated session to train on."""

    minutes: float = 20.0
    n_neurons: int = 1000
    side_px: int = 512
    mouse_seed: int = 0


@dataclass(frozen=True)
class Acquired:
    """A session as the front saw it.

    activity (T - lag, n), frame by frame with the movie: of the last frames
    deconvolution cannot tell yet.
    """

    session: Session
    template: Array
    activity: Array


def train_simulated(
    plan: SimulatedTraining,
    recipe: Recipe,
    settings: Settings,
    path: Path,
    report: Report,
    start: Start = FROM_NOTHING,
) -> Checkpoint:
    """Simulate, acquire, fit, calibrate and save an encoder at `path`.

    Raises UserError at once, not after an hour, if the plan cannot be carried out.
    """
    _require_enough(plan, recipe, settings.traces.deconvolve_lag_frames)
    prepare(path, recipe, start)
    world = make_world(plan.n_neurons, plan.side_px, plan.mouse_seed)
    n_frames = round(plan.minutes * 60 * RATE_HZ)
    movie = natural_movie(n_frames, _TRAINING_SEED, CLIP_FRAMES)
    session = make_session(world, movie, "training", _TRAINING_SEED)
    acquired = acquire(world, session, settings, report)
    origin = {"simulated": dataclasses.asdict(plan)}
    return train_on(acquired, recipe, settings, path, report, origin, start)


def train_on(
    acquired: Acquired,
    recipe: Recipe,
    settings: Settings,
    path: Path,
    report: Report,
    origin: dict[str, Any],
    start: Start = FROM_NOTHING,
) -> Checkpoint:
    """Fit, calibrate and save; the last tenth of the frames is kept for validation.

    origin: what the checkpoint says of where its frames came from.
    """
    material = with_meta(
        _material(acquired),
        _ceiling(acquired),
        rate_hz=settings.align.rate_hz,
        traces=settings.traces.model_dump(),
        **origin,
    )
    return train_material(material, recipe, path, report, start)


def acquire(
    world: World, session: Session, settings: Settings, report: Report
) -> Acquired:
    """Image a session and read it by the same chain that runs live."""
    template = _reference(world)
    masks = with_rings(world.field.masks, settings.traces)
    chain = Chain(template, masks, session.rate_hz, settings)
    pixels = np.empty(template.shape, np.int16)
    activity = np.empty((len(session), len(world.field.masks)), np.float32)
    for index in range(len(session)):
        session.recording.frame(index, pixels)
        activity[index] = chain.process(pixels).activity
        if index % 100 == 0:
            report("imaging", index / len(session), f"frame {index} of {len(session)}")
    report("imaging", 1.0, f"{len(session)} frames")
    lag = settings.traces.deconvolve_lag_frames
    return Acquired(session, template, activity[lag:])


def _material(acquired: Acquired) -> Material:
    session, n_frames = acquired.session, len(acquired.activity)
    told = session.behavior.measured()
    whole = Stretch(session.movie[:n_frames], told[:n_frames], acquired.activity)
    settled = whole.part(SETTLE_FRAMES, n_frames)
    first, last = keep_last([settled], validation_frames(len(settled)))
    return gather(
        Stretches(first, len(settled)),
        Stretches(last, len(settled)),
        Neurons(session.recording.field.masks, acquired.template[None]),
    )


def _ceiling(acquired: Acquired) -> Array:
    """Return (n,) r of activity with what the movie and behaviour make of it."""
    n_frames = len(acquired.activity)
    n_kept = validation_frames(n_frames - SETTLE_FRAMES) - (MEMORY - 1)
    judged = slice(n_frames - n_kept, n_frames)
    return pearson(acquired.activity[judged], acquired.session.response.rate[judged])


def _require_enough(plan: SimulatedTraining, recipe: Recipe, lag_frames: int) -> None:
    if plan.n_neurons < 1:
        raise UserError(f"{plan.n_neurons} neurons see nothing; give 1 or more")
    least_frames = SETTLE_FRAMES + recipe.batch_frames + LEAST_VALIDATION_FRAMES
    least = math.ceil(10 * (least_frames + lag_frames) / (60 * RATE_HZ)) / 10
    if not plan.minutes >= least:  # not a number is too short, too
        raise UserError(
            f"a session of {plan.minutes:g} minutes is too short to train on; "
            f"give {least:g} or more"
        )


def _reference(world: World) -> Array:
    """Image the field for a moment, as one does before a session, and average it."""
    movie = natural_movie(_TEMPLATE_FRAMES, _REFERENCE_SEED)
    reference = make_session(world, movie, "reference", _REFERENCE_SEED).recording
    blank = np.empty(world.field.tissue.shape, np.int16)
    frames = [reference.frame(index, blank).copy() for index in range(len(reference))]
    return make_template(np.stack(frames))
