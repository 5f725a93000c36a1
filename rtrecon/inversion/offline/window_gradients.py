"""Gradients of the published protocol: mean over windows, each normalised to length 1.

A window that explains its activity badly has the same weight as one that explains it
well. The published protocol descends this mean, not the gradient of the likelihood.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.encoder.base import PADDED_SHAPE, Encoder
from rtrecon.encoder.device_memory import retry_on_oom
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.inversion.offline.windows import cut_windows

_MIN_RATE = 1e-8  # no logarithm of nothing
_MIN_NORM = 1e-6


class WindowGradients:
    """Computes gradients of one encoder's misfit to one clip.

    n_passes: forward and backward passes of the encoder so far, one per window.
    """

    def __init__(
        self, encoder: Encoder, target: InversionTarget, settings: PublishedSettings
    ) -> None:
        self.n_passes = 0
        self.windows_at_once = settings.windows_at_once
        self._encoder = encoder
        self._windows = cut_windows(
            len(target), settings.window_frames, settings.stride_frames
        )
        inside = self._windows.frame_indices()
        self._activity = _target_activity(target, settings.dropped_silent)[inside]
        self._behavior = target.behavior_tensor()[inside]
        self._in_norm = (
            settings.behavior_in_norm and encoder.frame_shape == PADDED_SHAPE
        )

    def mean_gradient(self, video: Tensor) -> Tensor:
        """Return the mean gradient by `video` (past_frames + T, height, width)."""
        past = self._encoder.past_frames
        parts = video[self._windows.frame_indices(past)]
        gradients = retry_on_oom(
            lambda: self._compute_in_batches(parts),
            lambda: self._halve_batch(len(parts)),
        )
        return self._windows.average_windows(gradients, past)

    def _compute_in_batches(self, parts: Tensor) -> Tensor:
        """Return each window's gradient, a batch at a time."""
        portions = torch.arange(len(parts)).split(self.windows_at_once)
        return torch.cat([self._compute_batch(parts, portion) for portion in portions])

    def _halve_batch(self, n_windows: int) -> str:
        """Halve the batch; return a notice, or raise UserError if it is one window."""
        if self.windows_at_once == 1:
            raise UserError(
                "the encoder's device has too little memory even for one window at a "
                "time; use a larger one, or the CPU"
            )
        self.windows_at_once = (min(self.windows_at_once, n_windows) + 1) // 2
        return f"memory ran out: {self.windows_at_once} windows at a time from now on"

    def _compute_batch(self, parts: Tensor, portion: Tensor) -> Tensor:
        """Return (len(portion), past + frames, height, width), each of length one."""
        movie = parts[portion].requires_grad_(True)
        behavior = self._behavior[portion]
        asked = [movie]
        if self._in_norm:
            behavior = _spread_to_planes(behavior).requires_grad_(True)
            asked.append(behavior)
        misfit = poisson_misfit(
            self._encoder.predict_rates(movie, behavior), self._activity[portion]
        )
        # An encoder may ignore behaviour; then its gradient is zero.
        gradients = torch.autograd.grad(misfit.sum(), asked, materialize_grads=True)
        self.n_passes += len(portion)
        squares = [gradient.square().flatten(1).sum(1) for gradient in gradients]
        norm = torch.stack(squares).sum(0).sqrt().add_(_MIN_NORM)
        if not norm.isfinite().all():
            raise UserError(
                "the encoder predicts no finite activity for this movie; check whether "
                "it needs behaviour that was not recorded"
            )
        return gradients[0] / norm.view(-1, 1, 1, 1)


def poisson_misfit(rates: Tensor, activity: Tensor) -> Tensor:
    """Return (B,): each window's mean negative log-likelihood, without constants.

    rates, activity: (B, T, n); activity is NaN where it was not recorded.
    """
    activity = activity.to(rates.device)
    known = activity.isfinite()
    misfit = rates - activity.nan_to_num() * (rates + _MIN_RATE).log()
    summed = (misfit * known).flatten(1).sum(1)
    return summed / known.flatten(1).sum(1).clamp(min=1)


def _target_activity(target: InversionTarget, dropped_silent: bool) -> Tensor:
    """Return the activity (T, n) to explain, with negative values set to 0."""
    activity = target.activity_tensor().relu()
    if dropped_silent and target.used_neurons is not None:
        activity[:, ~torch.from_numpy(target.used_neurons)] = 0
    return activity


def _spread_to_planes(behavior: Tensor) -> Tensor:
    """Return values (B, T, k) as constant planes (B, T, k, height, width)."""
    return behavior[..., None, None].expand(*behavior.shape, *PADDED_SHAPE).contiguous()
