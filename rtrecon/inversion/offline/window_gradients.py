"""Which way a movie should move: the mean of its windows' gradients, of length one.

A window that explains its activity badly counts no more than one that explains it well;
that, and not the likelihood, is what the published protocol descends.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.encoder.device_memory import in_memory
from rtrecon.encoder.protocol import PADDED, Encoder
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.target import Target
from rtrecon.inversion.offline.windows import cut

_LEAST_RATE = 1e-8  # no logarithm of nothing
_LEAST_NORM = 1e-6


class WindowGradients:
    """The gradients of one encoder's misfit to one clip.

    Counts the encoder passes taken, forward and back, one per window.
    """

    def __init__(
        self, encoder: Encoder, target: Target, settings: PublishedSettings
    ) -> None:
        self.passes = 0
        self.windows_at_once = settings.windows_at_once
        self._encoder = encoder
        self._windows = cut(len(target), settings.window_frames, settings.stride_frames)
        inside = self._windows.frames()
        self._activity = _asked(target, settings.dropped_silent)[inside]
        self._behavior = target.behavior_tensor()[inside]
        self._in_norm = settings.behavior_in_norm and encoder.frame_shape == PADDED

    def mean(self, video: Tensor) -> Tensor:
        """Return what `video` (past_frames + T, height, width) should go against."""
        past = self._encoder.past_frames
        parts = video[self._windows.frames(past)]
        gradients = in_memory(
            lambda: self._in_portions(parts), lambda: self._ease(len(parts))
        )
        return self._windows.mean(gradients, past)

    def _in_portions(self, parts: Tensor) -> Tensor:
        """Return each window's gradient."""
        portions = torch.arange(len(parts)).split(self.windows_at_once)
        return torch.cat([self._of(parts, portion) for portion in portions])

    def _ease(self, n_windows: int) -> str:
        """Take half as many windows at a time."""
        if self.windows_at_once == 1:
            raise UserError(
                "the encoder's device has too little memory even for one window at a "
                "time; use a larger one, or the CPU"
            )
        self.windows_at_once = (min(self.windows_at_once, n_windows) + 1) // 2
        return f"memory ran out: {self.windows_at_once} windows at a time from now on"

    def _of(self, parts: Tensor, portion: Tensor) -> Tensor:
        """Return (len(portion), past + frames, height, width), each of length one."""
        movie = parts[portion].requires_grad_(True)
        behavior = self._behavior[portion]
        asked = [movie]
        if self._in_norm:
            behavior = _painted(behavior).requires_grad_(True)
            asked.append(behavior)
        misfit = poisson_misfit(
            self._encoder.rates(movie, behavior), self._activity[portion]
        )
        # An encoder may ignore behaviour; then it has no part in the length.
        gradients = torch.autograd.grad(misfit.sum(), asked, materialize_grads=True)
        self.passes += len(portion)
        squares = [gradient.square().flatten(1).sum(1) for gradient in gradients]
        norm = torch.stack(squares).sum(0).sqrt().add_(_LEAST_NORM)
        if not norm.isfinite().all():
            raise UserError(
                "the encoder has no finite answer to this movie; is there behaviour "
                "that it needs and that was not recorded?"
            )
        return gradients[0] / norm.view(-1, 1, 1, 1)


def poisson_misfit(rates: Tensor, activity: Tensor) -> Tensor:
    """Return (B,): each window's mean negative log-likelihood, but for constants.

    rates, activity: (B, T, n); where activity is NaN nothing was recorded.
    """
    activity = activity.to(rates.device)
    known = activity.isfinite()
    misfit = rates - activity.nan_to_num() * (rates + _LEAST_RATE).log()
    summed = (misfit * known).flatten(1).sum(1)
    return summed / known.flatten(1).sum(1).clamp(min=1)


def _asked(target: Target, dropped_silent: bool) -> Tensor:
    """Return the activity (T, n) to explain: deconvolution may have left it below 0."""
    activity = target.recorded().relu()
    if dropped_silent and target.kept is not None:
        activity[:, ~torch.from_numpy(target.kept)] = 0
    return activity


def _painted(behavior: Tensor) -> Tensor:
    """Return (B, T, k) as planes (B, T, k, height, width)."""
    return behavior[..., None, None].expand(*behavior.shape, *PADDED).contiguous()
