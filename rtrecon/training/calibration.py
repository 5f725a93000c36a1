"""Calibration of the live inversion: tried out on validation clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from rtrecon.config import InversionSettings
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.encoder.base import LiveEncoder
from rtrecon.encoder.checkpoint import Calibration
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.dct_basis import IMAGE_SHAPE, make_dct_basis
from rtrecon.encoder.prior import Prior
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.live.prior_precision import accumulate_power
from rtrecon.inversion.objective import InverseProblem
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.score import estimate_dispersion
from rtrecon.training.training_data import TrainingData

DATA_WEIGHTS = (0.125, 0.25, 0.5, 1.0)
_MAX_FRAMES = 900
_STEPS_PER_HOP = 6  # about what a live inversion has time for


def calibrate_inversion(
    encoder: LiveEncoder,
    prior: Prior,
    data: TrainingData,
    on_progress: ProgressCallback,
) -> Calibration:
    """Invert the validation clips with each data weight and keep the best.

    The best has the highest correlation of reconstructed with shown pixels.
    """
    variance_per_mean = estimate_dispersion(encoder, data.validation)
    clips = data.validation.slice_frames(0, _MAX_FRAMES)
    trials: list[tuple[float, float, _InversionResult]] = []
    for count, data_weight in enumerate(DATA_WEIGHTS):
        problem = InverseProblem(encoder, prior, data_weight / variance_per_mean)
        label = f"data weight {data_weight}"
        report_share = partial(_report_share, on_progress, count, label)
        result = _invert_clips(problem, clips, report_share)
        trials.append((result.r, data_weight, result))
        report_share(1.0, f": pixel r {result.r:.3f}")
    _, data_weight, best = max(trials, key=lambda each: each[0])
    return Calibration(
        dispersion=variance_per_mean,
        behavior_mean=data.behavior_mean,
        behavior_sd=data.behavior_sd,
        identifiability=torch.from_numpy(best.explained_variance()),
        innovation_power=best.innovation_power,
        data_weight=data_weight,
    )


@dataclass(frozen=True)
class _InversionResult:
    """Outcome of one inversion.

    stimulus, reconstruction: (T, 36, 64). innovation_power: (n_coef,) mean square of
    the innovations found.
    """

    stimulus: Array
    reconstruction: Array
    innovation_power: Tensor

    @property
    def r(self) -> float:
        pixels = self.stimulus.ravel(), self.reconstruction.ravel()
        return float(np.corrcoef(*pixels)[0, 1])

    def explained_variance(self) -> Array:
        """Return (36, 64) 0..1: share of each pixel's variance that was recovered."""
        residual = ((self.stimulus - self.reconstruction) ** 2).mean(0)
        explained = 1 - residual / self.stimulus.var(0)
        return np.clip(explained, 0, 1).astype(np.float32).reshape(IMAGE_SHAPE)


def _invert_clips(
    problem: InverseProblem, data: EncoderData, report_share: Callable[[float], None]
) -> _InversionResult:
    """Invert as the live process does, with a fixed number of steps per hop."""
    live = InversionSettings()
    window, hop = live.window_frames, live.hop_frames
    inverter = MapInversion(problem, window)
    final_frames, powers, basis = list[Tensor](), list[Tensor](), make_dct_basis()
    for start in range(0, len(data) - hop + 1, hop):
        part = data.slice_frames(start, start + hop)
        final_frames.append(inverter.push_activity(part.activity, part.behavior))
        for step in range(_STEPS_PER_HOP):
            inverter.step(step / (_STEPS_PER_HOP - 1))
        frames, squares = accumulate_power(inverter.z, inverter.information_fraction())
        powers.append((squares / frames.clamp_min(1.0)).cpu())
        report_share(start / len(data))
    reconstruction = basis.to_pixels(torch.cat(final_frames)[window + MEMORY_FRAMES :])
    shown = data.coef[MEMORY_FRAMES : MEMORY_FRAMES + len(reconstruction)]
    innovation_power = torch.stack(powers)[window // hop :].mean(0)
    return _InversionResult(basis.to_pixels(shown), reconstruction, innovation_power)


def _report_share(
    on_progress: ProgressCallback,
    count: int,
    label: str,
    share: float,
    result: str = "",
) -> None:
    on_progress("calibrating", (count + share) / len(DATA_WEIGHTS), label + result)
