"""The transparency mask: which pixels a population answers to, as published.

Two movies are laid over each other, one seen through the mask; where the mask has to be
clear for the encoder to predict what was recorded under the first, neurons look.
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
from rtrecon.core.types import Array
from rtrecon.encoder.protocol import PADDED, Encoder
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.pixel_descent import visible
from rtrecon.inversion.offline.target import Report, silent

EVALUATED_FROM = 1.0  # of the mask: pixels that published figures are taken over
_LEAST_NORM = 1e-6
_REPORT_EVERY = 20


@dataclass(frozen=True)
class MaskSettings:
    """How a mask is trained; every default is the published value.

    steps: pairs of trials seen. first_frame, n_frames: the stretch of each trial. rate:
    step size. start: the mask begins at random values below it. blur_px, reach_px: s.d.
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
class _Trial:
    video: Tensor  # (past_frames + n_frames, height, width)
    behavior: Tensor
    activity: Tensor


def train_mask(
    encoder: Encoder,
    clips: Sequence[Clip],
    settings: MaskSettings | None = None,
    *,
    seed: int = 0,
    report: Report = silent,
) -> Array:
    """Return a mask (36, 64), float32: about 0 where nobody looks, 1 and more where.

    clips: two or more trials that the encoder was not trained on, with their stimulus;
    UserError if they are too few or too short.
    """
    settings = settings or MaskSettings()
    trials = [
        _trial(encoder, clip, settings) for clip in clips if _usable(clip, settings)
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
        slope = _slope(encoder, mask, trials[a], trials[b].video)
        slope = slope.clamp(-settings.limit, settings.limit).mean(0)
        mask -= settings.rate * _blurred(slope, settings)
        if step % _REPORT_EVERY == 0:
            report("mask", step / settings.steps, f"step {step}")
    report("mask", 1.0, f"{settings.steps} steps")
    return visible(mask)[0].numpy().copy()


def _slope(encoder: Encoder, mask: Tensor, trial: _Trial, other: Tensor) -> Tensor:
    """Return the misfit's gradient by the mask; with all others it has length one."""
    mask = mask.clone().requires_grad_(True)
    video = trial.video.clone().requires_grad_(True)
    behavior, asked = trial.behavior, [mask, video]
    if encoder.frame_shape == PADDED:
        planes = behavior[..., None, None].expand(*behavior.shape, *PADDED)
        behavior = planes.clone().requires_grad_(True)
        asked.append(behavior)
    clear = mask.clamp(0, 1)
    rates = encoder.rates(video * clear + other * (1 - clear), behavior)
    missed = torch.nan_to_num(rates - trial.activity.to(rates.device))
    misfit = missed.square().mean()
    gradients = torch.autograd.grad(misfit, asked, materialize_grads=True)
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    return gradients[0] / (norm + _LEAST_NORM)


def _usable(clip: Clip, settings: MaskSettings) -> bool:
    stop = settings.first_frame + settings.n_frames
    if clip.shown is None or len(clip.target) < stop:
        return False
    return bool(np.isfinite(clip.shown[:stop]).all())


def _trial(encoder: Encoder, clip: Clip, settings: MaskSettings) -> _Trial:
    assert clip.shown is not None
    first, stop = settings.first_frame, settings.first_frame + settings.n_frames
    past = max(0, first - encoder.past_frames)
    shown = torch.from_numpy(np.asarray(clip.shown[past:stop], np.float32))
    around = (encoder.frame_shape[0] - shown.shape[1]) // 2
    return _Trial(
        functional.pad(shown, (0, 0, around, around)),
        clip.target.behavior_tensor()[first:stop],
        clip.target.recorded()[first:stop],
    )


def _blurred(slope: Tensor, settings: MaskSettings) -> Tensor:
    blurred = gaussian_filter(slope.numpy(), settings.blur_px, radius=settings.reach_px)
    return torch.from_numpy(blurred)
