"""A published encoder made fit for the live inversion, from a recording of its neurons.

It comes without a prior of movies, and without what its predictions are worth: both are
learnt from a recording whose stimulus is known, as for an encoder of ours. Its weights
stay as they are, in their own files.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

import rtrecon
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium.folder import Folder
from rtrecon.datasets.sensorium.layout import UNITS
from rtrecon.encoder.card import Card, make_room
from rtrecon.encoder.checkpoint import MOST_SD, Checkpoint, save
from rtrecon.encoder.dwiseneuro.author_files import Model
from rtrecon.encoder.dwiseneuro.external_weights import (
    PUBLISHED,
    Reference,
    refer,
    with_behavior,
)
from rtrecon.encoder.dwiseneuro.inference import Published, read_models
from rtrecon.encoder.dwiseneuro.live import (
    STRIDE_FRAMES,
    STRIDES,
    Fit,
    LivePublished,
    measured_reach,
)
from rtrecon.encoder.dwiseneuro.mouse_names import SENSORIUM
from rtrecon.encoder.prior import Prior, fit_prior
from rtrecon.inversion.offline.encoder_files import require_device
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.training import recorded, sensorium
from rtrecon.training.calibration import Report, calibrate
from rtrecon.training.score import correlation, mean_r, predict
from rtrecon.training.training_data import Material

FRAMES = 900
LEAST_FRAMES = 90  # some, once a window has been left
_RATE_HZ, _MOST_OFF = 30.0, 0.01  # of the published encoders; share by which others may
_LEAST_SHARE = 0.01  # of usual activity, that no movie explains
_TINY = 1e-8


@dataclass(frozen=True)
class Plan:
    """What to adapt, and how.

    published: files of one ensemble. mouse: see `mice.choose`. out: checkpoint to
    write. frames: at most so many to calibrate with; every step of the inversion is
    tried on them, which takes hours where there is no GPU. stride_frames: between the
    windows that answer; fewer are better, and slower.
    """

    published: Sequence[Path]
    out: Path
    mouse: str | None = None
    frames: int = FRAMES
    stride_frames: int = STRIDE_FRAMES
    device: Literal["cpu", "cuda"] = "cpu"


def adapt_to_sensorium(plan: Plan, path: Path, report: Report) -> Checkpoint:
    """Adapt to the mouse in a Sensorium folder, whose responses it was trained on.

    Trials lie behind one another: windows that reach over a border see a cut. Raises
    UserError where files do not fit together.
    """
    models = _opened(plan)
    material = sensorium.read_material(Folder(path), report)
    return _adapt(plan, models, material, report)


def adapt_to_session(plan: Plan, path: Path, report: Report) -> Checkpoint:
    """Adapt to a session that we recorded; UserError where it does not fit.

    Its activity may be measured in other units than those that the encoder was trained
    on: each neuron gets a gain.
    """
    models = _opened(plan)
    return _adapt(plan, models, recorded.read_material(path), report)


def _opened(plan: Plan) -> list[Model]:
    """Read the models; refuse at once what would come to grief later."""
    require_device(plan.device)
    if plan.frames < LEAST_FRAMES:
        raise UserError(
            f"{plan.frames} frames are too few to calibrate with; give {LEAST_FRAMES} "
            "or more"
        )
    if plan.stride_frames not in STRIDES:
        raise UserError(
            f"windows every {plan.stride_frames} frames leave some unanswered; give "
            f"{STRIDES.start} to {STRIDES.stop - 1}"
        )
    make_room(plan.out)
    return [model for path in plan.published for model in read_models(path, plan.mouse)]


def _adapt(
    plan: Plan, models: list[Model], material: Material, report: Report
) -> Checkpoint:
    _require_same(models[0], material)
    for note in material.notes:
        report("adapting", 0.0, note)
    material = _knowing(models[0], material)
    usual = tuple(material.behavior_mean.tolist())
    models = [with_behavior(model, usual) for model in models]
    material = _within(material, plan.frames)
    prior = fit_prior(material.clips, material.clip_frames)
    report("adapting", 0.0, f"{len(models)} models, {len(material.validation)} frames")
    encoder = _fitted(plan, Published(models, plan.device), prior, material)
    report("adapting", 1.0, "its neurons' gains and delays measured")
    calibration = calibrate(encoder, prior, material, report)
    r = correlation(encoder, material.validation)
    reference = refer(plan.published, models[0], plan.stride_frames)
    card = Card(
        path=plan.out,
        rois=material.neurons.rois,
        mean_image=material.neurons.mean_image,
        meta=_meta(material, mean_r(r), reference),
    )
    checkpoint = Checkpoint(card, encoder, prior, calibration)
    save(checkpoint)
    return checkpoint


def _knowing(model: Model, material: Material) -> Material:
    """Return material whose mean, of what was never measured, is the model's own.

    UserError where the model is told what neither of them knows.
    """
    known = model.mouse.behavior_mean[: len(BEHAVIOR)]
    own = torch.full_like(material.behavior_mean, torch.nan)
    own[: len(known)] = torch.tensor(known)
    mean = torch.where(material.measured, material.behavior_mean, own)
    n_told = model.sizes.in_channels - 1
    if n_told > len(mean) or mean[:n_told].isnan().any():
        raise UserError(
            f"{model.source} is told {n_told} values of behaviour, and neither it nor "
            "the recording says what each of them usually was; adapt it to the "
            "Sensorium folder of its mouse"
        )
    return replace(material, behavior_mean=mean.nan_to_num())


def _require_same(model: Model, material: Material) -> None:
    """Refuse a recording of other neurons, as far as that can be told."""
    _require_neurons(model, material.neurons.rois.ids)
    _require_mouse(model, str(material.meta.get("sensorium", "")))
    _require_rate(model, float(material.meta["rate_hz"]))


def _require_neurons(model: Model, recorded_ids: Array) -> None:
    ids = model.neuron_ids.numpy()
    if len(ids) != len(recorded_ids):
        raise UserError(
            f"{model.source} answers for {len(ids)} neurons of mouse {model.mouse}, "
            f"but the recording has {len(recorded_ids)}; give that of the same mouse, "
            "or choose its readout with --mouse"
        )
    differ = np.flatnonzero(ids != recorded_ids)
    named = not np.array_equal(ids, np.arange(len(ids)))  # else they are mere places
    if named and len(differ):
        first = int(differ[0])
        raise UserError(
            f"{model.source} expects neuron {ids[first]} in place {first}, but the "
            f"recording has {recorded_ids[first]}; give the recording that it was "
            "trained on"
        )


def _require_mouse(model: Model, folder: str) -> None:
    """Refuse a Sensorium folder that goes by the name of another known mouse."""
    known = [mouse for mouse in SENSORIUM if mouse.goes_by(folder)]
    if model.mouse.name and known and model.mouse.name != known[0].name:
        raise UserError(
            f"{model.source} answers for mouse {model.mouse}, but the folder is that "
            f"of mouse {known[0]}; choose that readout with --mouse"
        )


def _require_rate(model: Model, rate_hz: float) -> None:
    if abs(rate_hz - _RATE_HZ) > _MOST_OFF * _RATE_HZ:
        raise UserError(
            f"the recording has {rate_hz:g} frames per second, {model.source} was "
            f"trained at {_RATE_HZ:g}; record with align.rate_hz = {_RATE_HZ:g}"
        )


def _within(material: Material, frames: int) -> Material:
    """Return no more frames than will be used, and behaviour as none of it is cut off.

    What is told live is held within `MOST_SD`: here that is the farthest recorded, for
    the encoder was trained on all of it.
    """
    training = material.training.part(0, frames)
    validation = material.validation.part(0, frames)
    if min(len(training), len(validation)) < LEAST_FRAMES:
        raise UserError(
            f"the recording has {len(validation)} frames to calibrate with; "
            f"{LEAST_FRAMES} are needed"
        )
    farthest = material.training.behavior.abs().amax(0)
    wider = (farthest / MOST_SD).clamp(min=1.0)
    return replace(
        material,
        training=replace(training, behavior=training.behavior / wider),
        validation=replace(validation, behavior=validation.behavior / wider),
        behavior_sd=material.behavior_sd * wider,
    )


def _fitted(
    plan: Plan, published: Published, prior: Prior, material: Material
) -> LivePublished:
    """Return the encoder with each neuron's gain and floor, and when it answers."""
    recorded_mean = _mean(material.training.activity)
    as_published = Fit(
        behavior_mean=material.behavior_mean,
        behavior_sd=material.behavior_sd,
        gain=torch.ones(published.n_neurons),
        floor=(_LEAST_SHARE * recorded_mean).clamp(min=_TINY),
        reach=measured_reach(published, prior),
    )
    encoder = LivePublished(published, as_published, plan.stride_frames)
    if material.meta.get("units") == UNITS:
        return encoder
    own = replace(as_published, gain=_gain(encoder, material))
    return LivePublished(published, own, plan.stride_frames)


def _gain(encoder: LivePublished, material: Material) -> Tensor:
    """Return (n,) mean activity recorded per predicted, of the same frames."""
    activity = material.training.activity[encoder.past_frames :]
    predicted = torch.from_numpy(predict(encoder, material.training))
    known = activity.isfinite()
    there = torch.where(known, predicted, 0.0).sum(0)
    gain = activity.nan_to_num().sum(0) / there.clamp(min=_TINY)
    return torch.where(known.any(0) & (gain > 0), gain, gain.median())


def _mean(activity: Tensor) -> Tensor:
    """Return (n,) mean activity; 0 of a neuron of which nothing is known."""
    return activity.nanmean(0).nan_to_num()


def _meta(material: Material, r: float, reference: Reference) -> dict[str, object]:
    return {
        "version": rtrecon.__version__,
        "command": " ".join(["rtrecon", *sys.argv[1:]]),
        "validation_r": round(r, 4),
        "training_frames": len(material.training),
        **material.meta,
        PUBLISHED: reference.meta(),
    }
