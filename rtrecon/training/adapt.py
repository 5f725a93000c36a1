"""Adapt a published encoder to the live inversion, with a recording of its neurons.

A published encoder has no prior of movies and no calibration. Both are fitted to a
recording with a known stimulus, as for a compact encoder. The weights of the network
do not change and stay in their own files.
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

from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.core.version import __version__
from rtrecon.datasets.sensorium.folder import SensoriumFolder
from rtrecon.datasets.sensorium.layout import RESPONSE_UNITS
from rtrecon.encoder.card import Card, prepare_output_path
from rtrecon.encoder.checkpoint import MAX_BEHAVIOR_SD, Checkpoint, save_checkpoint
from rtrecon.encoder.dwiseneuro.author_files import MouseModel
from rtrecon.encoder.dwiseneuro.external_weights import (
    EXTERNAL_WEIGHTS_KEY,
    ExternalWeights,
    describe_external_weights,
    set_behavior_mean,
)
from rtrecon.encoder.dwiseneuro.inference import (
    DWISENEURO_RATE_HZ,
    DwiseNeuroEncoder,
    read_models,
)
from rtrecon.encoder.dwiseneuro.live import (
    ALLOWED_STRIDES,
    STRIDE_FRAMES,
    LiveDwiseNeuro,
    RecordingFit,
    measure_lag_weights,
)
from rtrecon.encoder.dwiseneuro.mouse_names import SENSORIUM_MICE
from rtrecon.encoder.prior import Prior, fit_prior
from rtrecon.inversion.offline.encoder_files import require_device
from rtrecon.protocol.behavior import BEHAVIOR
from rtrecon.stimulus_space.video import IMAGE_SHAPE, describe_size
from rtrecon.training import recorded, sensorium
from rtrecon.training.calibration import calibrate_inversion
from rtrecon.training.score import (
    average_correlation,
    compute_correlation,
    predict_activity,
)
from rtrecon.training.training_data import TrainingData

DEFAULT_FRAMES = 900
MIN_FRAMES = 90  # enough to calibrate with after the first window
_MAX_RATE_DEVIATION = 0.01  # of a recording's frame rate, relative
_BASELINE_FRACTION = 0.01  # of mean activity; the part that no movie explains
_EPSILON = 1e-8


@dataclass(frozen=True)
class AdaptRequest:
    """What to adapt, and how.

    encoder_files: of one ensemble. out: checkpoint to write. mouse: see `choose_mouse`.
    max_frames: number of frames to calibrate with; the inversion runs on all of them,
    which takes hours without a GPU. stride_frames: between windows; a smaller stride is
    better and slower.
    """

    encoder_files: Sequence[Path]
    out: Path
    mouse: str | None = None
    max_frames: int = DEFAULT_FRAMES
    stride_frames: int = STRIDE_FRAMES
    device: Literal["cpu", "cuda"] = "cpu"


def adapt_to_sensorium(
    request: AdaptRequest, path: Path, on_progress: ProgressCallback
) -> Checkpoint:
    """Adapt to the Sensorium folder of the mouse that the encoder was trained on.

    Trials follow one another; a window across a border contains a cut. Raises UserError
    where files do not fit together.
    """
    models = _open_models(request)
    data = sensorium.read_training_data(SensoriumFolder(path), on_progress)
    return _adapt_encoder(request, models, data, on_progress)


def adapt_to_session(
    request: AdaptRequest, path: Path, on_progress: ProgressCallback
) -> Checkpoint:
    """Adapt to a session that rtrecon recorded; UserError where it does not fit.

    Its activity may have other units than the encoder's: each neuron gets a gain.
    """
    models = _open_models(request)
    data = recorded.read_training_data(path)
    if data.space.shape != IMAGE_SHAPE:
        raise UserError(
            f"{path} has a stimulus of {data.space.describe()}, but published encoders "
            f"take movies of {describe_size(IMAGE_SHAPE)} px; give a session of such "
            "movies"
        )
    return _adapt_encoder(request, models, data, on_progress)


def _open_models(request: AdaptRequest) -> list[MouseModel]:
    """Read the models; raise UserError now if adapting cannot succeed."""
    require_device(request.device)
    if request.max_frames < MIN_FRAMES:
        raise UserError(
            f"{request.max_frames} frames are too few to calibrate with; give "
            f"{MIN_FRAMES} or more"
        )
    if request.stride_frames not in ALLOWED_STRIDES:
        raise UserError(
            f"windows every {request.stride_frames} frames do not predict all frames; "
            f"give {ALLOWED_STRIDES.start} to {ALLOWED_STRIDES.stop - 1}"
        )
    prepare_output_path(request.out)
    return [
        model
        for path in request.encoder_files
        for model in read_models(path, request.mouse)
    ]


def _adapt_encoder(
    request: AdaptRequest,
    models: list[MouseModel],
    data: TrainingData,
    on_progress: ProgressCallback,
) -> Checkpoint:
    _require_same_recording(models[0], data)
    for notice in data.notices:
        on_progress("adapting", 0.0, notice)
    data = _fill_behavior_mean(models[0], data)
    behavior_mean = tuple(data.behavior_mean.tolist())
    models = [set_behavior_mean(model, behavior_mean) for model in models]
    data = _limit_frames(data, request.max_frames)
    prior = fit_prior(data.prior_clips, data.clip_frames)
    on_progress("adapting", 0.0, f"{len(models)} models, {len(data.validation)} frames")
    dwiseneuro = DwiseNeuroEncoder(models, request.device)
    encoder = _fit_encoder(request, dwiseneuro, prior, data)
    on_progress("adapting", 1.0, "gains and delays of its neurons are fitted")
    calibration = calibrate_inversion(encoder, prior, data, on_progress)
    r = compute_correlation(encoder, data.validation)
    external = describe_external_weights(
        request.encoder_files, models[0], request.stride_frames
    )
    card = Card(
        path=request.out,
        rois=data.neurons.rois,
        mean_image=data.neurons.mean_image,
        metadata=_make_metadata(data, average_correlation(r), external),
    )
    checkpoint = Checkpoint(card, encoder, prior, calibration)
    save_checkpoint(checkpoint)
    return checkpoint


def _fill_behavior_mean(model: MouseModel, data: TrainingData) -> TrainingData:
    """Return data that take the model's mean of behavior that was never measured.

    UserError where the model needs a mean that is in neither of them.
    """
    known = model.mouse.behavior_mean[: len(BEHAVIOR)]
    model_mean = torch.full_like(data.behavior_mean, torch.nan)
    model_mean[: len(known)] = torch.tensor(known)
    mean = torch.where(data.is_measured, data.behavior_mean, model_mean)
    n_behavior = model.architecture.in_channels - 1
    if n_behavior > len(mean) or mean[:n_behavior].isnan().any():
        raise UserError(
            f"{model.source} takes {n_behavior} values of behavior, and the mean of "
            "each of them is neither in it nor in the recording; adapt it to the "
            "Sensorium folder of its mouse"
        )
    return replace(data, behavior_mean=mean.nan_to_num())


def _require_same_recording(model: MouseModel, data: TrainingData) -> None:
    """Raise UserError if the recording is known to be of other neurons."""
    _require_neurons(model, data.neurons.rois.ids)
    _require_mouse(model, str(data.metadata.get("sensorium", "")))
    _require_rate(model, float(data.metadata["rate_hz"]))


def _require_neurons(model: MouseModel, recorded_ids: Array) -> None:
    ids = model.neuron_ids.numpy()
    if len(ids) != len(recorded_ids):
        raise UserError(
            f"{model.source} predicts {len(ids)} neurons of mouse {model.mouse}, but "
            f"the recording has {len(recorded_ids)}; give the recording of that mouse, "
            "or choose another readout with --mouse"
        )
    different = np.flatnonzero(ids != recorded_ids)
    has_ids = not np.array_equal(ids, np.arange(len(ids)))  # else they are indices
    if has_ids and len(different):
        first = int(different[0])
        raise UserError(
            f"{model.source} expects neuron {ids[first]} at index {first}, but the "
            f"recording has {recorded_ids[first]}; give the recording that it was "
            "trained on"
        )


def _require_mouse(model: MouseModel, folder: str) -> None:
    """Raise UserError if a Sensorium folder has the name of another known mouse."""
    known = [mouse for mouse in SENSORIUM_MICE if mouse.matches_name(folder)]
    if model.mouse.name and known and model.mouse.name != known[0].name:
        raise UserError(
            f"{model.source} was opened for mouse {model.mouse}, but the folder is "
            f"that of mouse {known[0]}; choose that readout with --mouse"
        )


def _require_rate(model: MouseModel, rate_hz: float) -> None:
    trained_hz = DWISENEURO_RATE_HZ
    if abs(rate_hz - trained_hz) > _MAX_RATE_DEVIATION * trained_hz:
        raise UserError(
            f"the recording has {rate_hz:g} frames per second, {model.source} was "
            f"trained at {trained_hz:g}; record with timing.encoder_rate_hz = "
            f"{trained_hz:g}"
        )


def _limit_frames(data: TrainingData, max_frames: int) -> TrainingData:
    """Return at most `max_frames`, and behavior scaled so that none of it is clipped.

    Live behavior is clipped at `MAX_BEHAVIOR_SD`. The network was trained on all of the
    recorded range, so here the s.d. is widened until that range fits.
    """
    training = data.training.slice_frames(0, max_frames)
    validation = data.validation.slice_frames(0, max_frames)
    if min(len(training), len(validation)) < MIN_FRAMES:
        raise UserError(
            f"the recording has {len(validation)} frames to calibrate with; "
            f"{MIN_FRAMES} are needed"
        )
    farthest = data.training.behavior.abs().amax(0)
    widening = (farthest / MAX_BEHAVIOR_SD).clamp(min=1.0)
    return replace(
        data,
        training=replace(training, behavior=training.behavior / widening),
        validation=replace(validation, behavior=validation.behavior / widening),
        behavior_sd=data.behavior_sd * widening,
    )


def _fit_encoder(
    request: AdaptRequest,
    dwiseneuro: DwiseNeuroEncoder,
    prior: Prior,
    data: TrainingData,
) -> LiveDwiseNeuro:
    """Return the encoder with gain, baseline and lag weights of its neurons."""
    recorded_mean = _mean_activity(data.training.activity)
    unit_fit = RecordingFit(
        behavior_mean=data.behavior_mean,
        behavior_sd=data.behavior_sd,
        gain=torch.ones(dwiseneuro.n_neurons),
        baseline=(_BASELINE_FRACTION * recorded_mean).clamp(min=_EPSILON),
        lag_weights=measure_lag_weights(dwiseneuro, prior),
    )
    encoder = LiveDwiseNeuro(dwiseneuro, unit_fit, request.stride_frames)
    if data.metadata.get("units") == RESPONSE_UNITS:
        return encoder
    fit = replace(unit_fit, gain=_fit_gain(encoder, data))
    return LiveDwiseNeuro(dwiseneuro, fit, request.stride_frames)


def _fit_gain(encoder: LiveDwiseNeuro, data: TrainingData) -> Tensor:
    """Return (n,) mean recorded activity per predicted, in the same frames."""
    activity = data.training.activity[encoder.past_frames :]
    predicted = torch.from_numpy(predict_activity(encoder, data.training))
    is_known = activity.isfinite()
    predicted_sum = torch.where(is_known, predicted, 0.0).sum(0)
    gain = activity.nan_to_num().sum(0) / predicted_sum.clamp(min=_EPSILON)
    return torch.where(is_known.any(0) & (gain > 0), gain, gain.median())


def _mean_activity(activity: Tensor) -> Tensor:
    """Return (n,) mean activity; 0 for a neuron without any."""
    return activity.nanmean(0).nan_to_num()


def _make_metadata(
    data: TrainingData, r: float, external: ExternalWeights
) -> dict[str, object]:
    return {
        "version": __version__,
        "command": " ".join(["rtrecon", *sys.argv[1:]]),
        "validation_r": round(r, 4),
        "n_training_frames": len(data.training),
        **data.metadata,
        EXTERNAL_WEIGHTS_KEY: external.to_json(),
    }
