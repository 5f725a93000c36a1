"""The transparency mask: the pixels to which a population responds, as published.

Two movies are blended: the first where the mask is clear, the second elsewhere. The
mask is trained so that the encoder predicts the activity recorded under the first, and
so becomes clear where the neurons respond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional

from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.core.types import Array
from rtrecon.encoder.base import PADDED_SHAPE, Encoder
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.pixel_descent import crop_visible

MIN_EVALUATED_MASK = 1.0  # of the mask: pixels that published figures are taken over
_MIN_NORM = 1e-6
_REPORT_EVERY_STEPS = 20


@dataclass(frozen=True)
class MaskSettings:
    """Parameters of the training; every default is the published value.

    steps: pairs of trials used. first_frame, n_frames: the segment of each trial. rate:
    step size. start: upper limit of the random initial values. blur_px, reach_px: s.d.
    and half width of what every gradient is blurred with. limit: of a gradient.
    """

    steps: int = 1000
    first_frame: int = 50
    n_frames: int = 32
    rate: float = 10.0
    start: float = 0.05
    blur_px: float = 5.0
    reach_px: int = 7
    limit: float = 1.0


@dataclass(frozen=True)
class _MaskTrial:
    video: Tensor  # (past_frames + n_frames, height, width)
    behavior: Tensor
    activity: Tensor


def train_mask(
    encoder: Encoder,
    clips: Sequence[Clip],
    settings: MaskSettings | None = None,
    *,
    seed: int = 0,
    on_progress: ProgressCallback = ignore_progress,
) -> Array:
    """Return a mask (36, 64), float32: near 0 where no neuron responds, else 1 or more.

    clips: two or more trials that the encoder was not trained on, with their stimulus;
    UserError if they are too few or too short.
    """
    settings = settings or MaskSettings()
    trials = [
        _load_trial(encoder, clip, settings)
        for clip in clips
        if _is_usable(clip, settings)
    ]
    if len(trials) < 2:
        least = settings.first_frame + settings.n_frames
        raise UserError(
            f"{len(trials)} of {len(clips)} trials can train a mask; give two or more "
            f"of {least} frames, whose stimulus is known"
        )
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(trials[0].video.shape, generator=generator) * settings.start
    for step in range(settings.steps):
        a, b = torch.randperm(len(trials), generator=generator)[:2].tolist()
        slope = _mask_gradient(encoder, mask, trials[a], trials[b].video)
        slope = slope.clamp(-settings.limit, settings.limit).mean(0)
        mask -= settings.rate * _blur(slope, settings)
        if step % _REPORT_EVERY_STEPS == 0:
            on_progress("mask", step / settings.steps, f"step {step}")
    on_progress("mask", 1.0, f"{settings.steps} steps")
    return crop_visible(mask)[0].numpy().copy()


def _mask_gradient(
    encoder: Encoder, mask: Tensor, trial: _MaskTrial, other: Tensor
) -> Tensor:
    """Return the misfit's gradient by the mask; all gradients together have norm 1."""
    mask = mask.clone().requires_grad_(True)
    video = trial.video.clone().requires_grad_(True)
    behavior, asked = trial.behavior, [mask, video]
    if encoder.frame_shape == PADDED_SHAPE:
        planes = behavior[..., None, None].expand(*behavior.shape, *PADDED_SHAPE)
        behavior = planes.clone().requires_grad_(True)
        asked.append(behavior)
    clear = mask.clamp(0, 1)
    rates = encoder.predict_rates(video * clear + other * (1 - clear), behavior)
    missed = torch.nan_to_num(rates - trial.activity.to(rates.device))
    misfit = missed.square().mean()
    gradients = torch.autograd.grad(misfit, asked, materialize_grads=True)
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    return gradients[0] / (norm + _MIN_NORM)


def _is_usable(clip: Clip, settings: MaskSettings) -> bool:
    stop = settings.first_frame + settings.n_frames
    if clip.stimulus is None or len(clip.target) < stop:
        return False
    return bool(np.isfinite(clip.stimulus[:stop]).all())


def _load_trial(encoder: Encoder, clip: Clip, settings: MaskSettings) -> _MaskTrial:
    assert clip.stimulus is not None
    first, stop = settings.first_frame, settings.first_frame + settings.n_frames
    past = max(0, first - encoder.past_frames)
    stimulus = torch.from_numpy(np.asarray(clip.stimulus[past:stop], np.float32))
    padding_rows = (encoder.frame_shape[0] - stimulus.shape[1]) // 2
    return _MaskTrial(
        functional.pad(stimulus, (0, 0, padding_rows, padding_rows)),
        clip.target.behavior_tensor()[first:stop],
        clip.target.activity_tensor()[first:stop],
    )


def _blur(slope: Tensor, settings: MaskSettings) -> Tensor:
    blurred = gaussian_filter(slope.numpy(), settings.blur_px, radius=settings.reach_px)
    return torch.from_numpy(blurred)
