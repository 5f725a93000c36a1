"""Calibrates the standard deviation of the live movie on validation clips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from rtrecon.config import InversionSettings
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.inversion.live.live_inversion import LiveInversionInputs
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.live.movie_spread import (
    CALIBRATED_HOP_FRAMES,
    MovieSpread,
    average_by_age,
)
from rtrecon.inversion.live.posterior_sampler import PosteriorSampler
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.decoder_fit import choose_missing_neurons
from rtrecon.training.training_data import TrainingData

_MAX_S = 60.0  # of the validation clips
_MIN_HOPS = 2  # in a window
_STEPS_PER_HOP = 6  # of the movie; about what a live inversion has time for
_SMOOTHING_PX = 3.0  # validation clips are few: errors are averaged over neighbours
_MIN_VARIANCE = 1.0  # squared gray levels


def calibrate_spread(
    checkpoint: Checkpoint, data: TrainingData, on_progress: ProgressCallback
) -> Checkpoint:
    """Return the checkpoint with `Calibration.error_ratio`.

    Inverts validation clips as the live process does, and compares the squared errors
    of the movie with the variance of posterior samples, pixel by pixel and by age.
    Without enough validation frames the ratio stays unknown.
    """
    hop = CALIBRATED_HOP_FRAMES
    # Whole hops, also of a space whose window is none.
    window = hop * max(_MIN_HOPS, data.space.window_frames // hop)
    settings = InversionSettings(hop_frames=hop, window_frames=window)
    clips = data.validation.slice_frames(0, round(_MAX_S * data.space.rate_hz))
    n_hops = len(clips) // settings.hop_frames
    inversion = _create_inversion(checkpoint, settings)
    sampler = PosteriorSampler(inversion, settings.seed)
    n_ages = settings.window_frames // settings.hop_frames
    spread = MovieSpread(
        np.ones((n_ages, *data.space.shape)), settings.hop_frames, data.space
    )
    variances, errors = list[Array](), list[Array]()
    for hop in range(n_hops):
        newest = (hop + 1) * settings.hop_frames
        part = clips.slice_frames(newest - settings.hop_frames, newest)
        _take_hop(inversion, sampler, part, settings.spread_steps)
        spread.add_hop(*sampler.describe_spread())
        sd = spread.compute_sd(np.zeros(data.space.shape))
        if newest >= settings.window_frames + MEMORY_FRAMES and sd is not None:
            variances.append(np.square(sd))
            shown = clips.coef[newest - settings.window_frames : newest]
            errors.append(_square_errors(inversion, shown, settings.hop_frames))
        on_progress("calibrating the spread", (hop + 1) / n_hops, "")
    if not errors:
        return checkpoint
    smoothing = 0.0, *data.space.limit_smoothing(_SMOOTHING_PX)
    ratio = _smooth([np.mean(errors, 0) + data.unresolved_variance], smoothing)
    ratio /= _smooth(variances, smoothing)
    calibration = replace(
        checkpoint.calibration,
        error_ratio=torch.from_numpy(ratio.astype(np.float32)),
    )
    return replace(checkpoint, calibration=calibration)


def _create_inversion(
    checkpoint: Checkpoint, settings: InversionSettings
) -> MapInversion:
    """Return the live inversion, with a tenth of the neurons held out."""
    held_out = choose_missing_neurons(checkpoint.encoder.n_neurons)
    inputs = LiveInversionInputs(checkpoint, settings, held_out, settings.seed)
    return MapInversion.from_inputs(inputs)


def _take_hop(
    inversion: MapInversion, sampler: PosteriorSampler, part: EncoderData, n_steps: int
) -> None:
    inversion.push_activity(part.activity, part.behavior)
    sampler.push_activity(len(part))
    for step in range(_STEPS_PER_HOP):
        inversion.step(step / (_STEPS_PER_HOP - 1))
    sampler.step(n_steps)


def _square_errors(
    inversion: MapInversion, shown: torch.Tensor, hop_frames: int
) -> Array:
    """Return squared errors (ages, height, width) of the window's movie."""
    error = inversion.movie() - make_dct_basis(inversion.problem.space).to_pixels(shown)
    return average_by_age(np.square(error), hop_frames)


def _smooth(maps: list[Array], smoothing: tuple[float, ...]) -> Array:
    smoothed = gaussian_filter(np.mean(maps, 0), smoothing)
    return np.asarray(np.maximum(smoothed, _MIN_VARIANCE))
