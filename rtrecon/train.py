"""From a session to an encoder: image it, read it as live, fit, calibrate, save."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import rtrecon
from rtrecon.acquire.chain import Chain
from rtrecon.acquire.neuropil import with_rings
from rtrecon.acquire.register import make_template
from rtrecon.config import InvertSettings, Settings
from rtrecon.encoder import fit
from rtrecon.encoder.card import FORMAT, Card
from rtrecon.encoder.checkpoint import Calibration, Checkpoint, make_room, save
from rtrecon.encoder.compact import MEMORY, Compact
from rtrecon.encoder.prior import Prior, fit_prior
from rtrecon.encoder.spectrum import SHAPE, Spectrum, spectrum
from rtrecon.errors import UserError
from rtrecon.invert.live import LiveInverter, Problem
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.simulate.session import Session, World, make_session, make_world
from rtrecon.wire import Array

CLIP_FRAMES = 150
SETTLE_FRAMES = 300  # left out at the start, while baselines find their level
TEMPERATURES = (0.125, 0.25, 0.5, 1.0)
_TRAINING_SEED, _REFERENCE_SEED = 100, 99  # of movies that no demo or test shows
_CALIBRATION_FRAMES = 900
_LEAST_VALIDATION_FRAMES = 300
_STEPS = 6  # per hop when calibrating; about what a live inversion has time for
_TEMPLATE_FRAMES = 100

Report = Callable[[str, float, str], None]  # stage, share done 0..1, a word more


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
    recipe: fit.Recipe,
    settings: Settings,
    path: Path,
    report: Report,
) -> Checkpoint:
    """Simulate, acquire, fit, calibrate and save an encoder at `path`.

    Raises UserError at once, not after an hour, if the plan cannot be carried out.
    """
    _require_enough(plan, recipe, settings.traces.deconvolve_lag_frames)
    make_room(path)
    world = make_world(plan.n_neurons, plan.side_px, plan.mouse_seed)
    n_frames = round(plan.minutes * 60 * RATE_HZ)
    movie = natural_movie(n_frames, _TRAINING_SEED, CLIP_FRAMES)
    session = make_session(world, movie, "training", _TRAINING_SEED)
    acquired = acquire(world, session, settings, report)
    origin = {"simulated": dataclasses.asdict(plan)}
    return train_on(acquired, recipe, settings, path, report, origin)


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


def train_on(
    acquired: Acquired,
    recipe: fit.Recipe,
    settings: Settings,
    path: Path,
    report: Report,
    origin: dict[str, Any],
) -> Checkpoint:
    """Fit, calibrate and save; the last tenth of the clips is kept for calibration."""
    low = spectrum()
    data, mean, sd = _dataset(low, acquired)
    n_validation = max(_LEAST_VALIDATION_FRAMES, len(data) // 10)
    training = data.part(0, len(data) - n_validation)
    validation = data.part(len(data) - n_validation, len(data))

    def told(progress: fit.Progress) -> None:
        word = f"misfit {progress.misfit:.1f}, validation r {progress.validation_r:.3f}"
        report("fitting", progress.epoch / recipe.epochs, word)

    report("fitting", 0.0, "looking for receptive fields")
    model = fit.train(low, training, validation, recipe, told)
    prior = fit_prior(training.coef, CLIP_FRAMES)
    dispersion = fit.dispersion(model, validation)
    tried = _try_temperatures(low, model, prior, dispersion, validation, report)
    temperature, identifiability = max(tried, key=lambda found: found[2])[:2]
    score = float(np.nanmean(fit.correlation(model, validation)))
    card = Card(
        path=path,
        rois=acquired.session.recording.field.masks,
        mean_image=acquired.template[None],
        meta={**_meta(settings, score, len(training)), **origin},
    )
    calibration = Calibration(
        dispersion=dispersion,
        behavior_mean=mean,
        behavior_sd=sd,
        identifiability=torch.from_numpy(identifiability),
        temperature=temperature,
    )
    checkpoint = Checkpoint(card, model, prior, calibration)
    save(checkpoint)
    return checkpoint


def _require_enough(
    plan: SimulatedTraining, recipe: fit.Recipe, lag_frames: int
) -> None:
    if plan.n_neurons < 1:
        raise UserError(f"{plan.n_neurons} neurons see nothing; give 1 or more")
    if recipe.epochs < 1:
        raise UserError(f"epochs = {recipe.epochs} trains nothing; give 1 or more")
    least_frames = SETTLE_FRAMES + recipe.batch_frames + _LEAST_VALIDATION_FRAMES
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


def _dataset(
    low: Spectrum, acquired: Acquired
) -> tuple[fit.Data, torch.Tensor, torch.Tensor]:
    session, n_frames = acquired.session, len(acquired.activity)
    behavior = torch.from_numpy(
        np.stack([session.behavior.pupil_dilation, session.behavior.running_speed], 1)
    )[:n_frames]
    mean, sd = behavior.mean(0), behavior.std(0) + 1e-6
    data = fit.Data(
        coef=low.from_pixels(session.movie[:n_frames]),
        behavior=(behavior - mean) / sd,
        activity=torch.from_numpy(np.nan_to_num(acquired.activity)),
    )
    return data.part(SETTLE_FRAMES, len(data)), mean, sd


def _try_temperatures(
    low: Spectrum,
    model: Compact,
    prior: Prior,
    dispersion: torch.Tensor,
    data: fit.Data,
    report: Report,
) -> list[tuple[float, Array, float]]:
    """Return (temperature, identifiability, pixel r) of inversions of kept clips."""
    data = data.part(0, _CALIBRATION_FRAMES)
    tried = []
    for count, temperature in enumerate(TEMPERATURES):
        problem = Problem(model, prior, temperature / dispersion)
        shown, made = _inverted(low, problem, data)
        r = float(np.corrcoef(shown.ravel(), made.ravel())[0, 1])
        tried.append((temperature, _explained(shown, made), r))
        word = f"temperature {temperature}: pixel r {r:.3f}"
        report("calibrating", (count + 1) / len(TEMPERATURES), word)
    return tried


def _inverted(low: Spectrum, problem: Problem, data: fit.Data) -> tuple[Array, Array]:
    """Return (shown, made), each (T, 36, 64), of a live inversion without a clock."""
    live = InvertSettings()
    window, hop = live.window_frames, live.hop_frames
    inverter = LiveInverter(problem, window)
    left = []
    for start in range(0, len(data) - hop + 1, hop):
        part = data.part(start, start + hop)
        left.append(inverter.advance(part.activity, part.behavior))
        for step in range(_STEPS):
            inverter.step(step / (_STEPS - 1))
    made = low.to_pixels(torch.cat(left)[window + MEMORY :])
    shown = low.to_pixels(data.coef[MEMORY : MEMORY + len(made)])
    return shown, made


def _explained(shown: Array, made: Array) -> Array:
    """Return (36, 64) 0..1: share of each pixel's variance that was recovered."""
    left_over = ((shown - made) ** 2).mean(0)
    explained = 1 - left_over / shown.var(0)
    return np.clip(explained, 0, 1).astype(np.float32).reshape(SHAPE)


def _meta(settings: Settings, score: float, n_frames: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": rtrecon.__version__,
        "command": " ".join(["rtrecon", *sys.argv[1:]]),
        "validation_r": round(score, 4),
        "training_frames": n_frames,
        "rate_hz": settings.align.rate_hz,
        "traces": settings.traces.model_dump(),
    }
