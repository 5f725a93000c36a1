"""Prior of a rolling window whose mean is what a linear decoder finds in the activity.

The inversion then searches for what the decoder missed: the spread and the correlation
from frame to frame are those of the decoder's errors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rtrecon.encoder.activity_decoder import (
    LOOK_AHEADS,
    MISSING_FRACTION,
    PAST_FRAMES,
    ActivityDecoder,
    split_by_look_ahead,
)
from rtrecon.encoder.prior import INITIAL_ERROR_FRACTION, Prior
from rtrecon.encoder.window_prior import WindowPrior

_MIN_INNOVATION_FRACTION = 0.02  # of the variance, where errors shrink with time


class DecodedPrior:
    """Holds the latents of the last W frames of activity, and those before them.

    used: (n,) bool, neurons that the decoder may use; the others count as missing.
    prior: of movies, for frames whose activity was lost.
    """

    def __init__(
        self, decoder: ActivityDecoder, prior: Prior, used: Tensor, window_frames: int
    ) -> None:
        self._decoder, self._used = decoder, used
        self._movie_variance = prior.variance.cpu()
        n_frames = PAST_FRAMES + 1 + window_frames
        self._latents = torch.zeros(n_frames, decoder.projection.shape[1])
        self._recorded = torch.zeros(n_frames)

    def push_activity(self, activity: Tensor) -> None:
        """Add h frames of activity (h, n), NaN where it is missing."""
        usable = torch.where(self._used, activity, torch.nan)
        recorded = usable.isfinite().sum(1) / self._used.sum().clamp_min(1)
        latents = self._decoder.project_activity(usable)
        n_frames = len(self._recorded)
        self._recorded = torch.cat([self._recorded, recorded])[-n_frames:]
        self._latents = torch.cat([self._latents, latents])[-n_frames:]

    def window_prior(self) -> WindowPrior:
        """Return the prior of the window, given the activity so far."""
        mean = self._decoder.decode_frames(self._latents)
        variance = self._error_variance()
        before = torch.cat([variance[:1], variance[:-1]])
        ar_coefficient = self._decoder.residual_ar
        innovation = torch.maximum(
            variance - ar_coefficient**2 * before, _MIN_INNOVATION_FRACTION * variance
        )
        return WindowPrior(
            previous_mean=mean[0],
            mean=mean[1:],
            ar_coefficient=ar_coefficient,
            innovation_sd=innovation[1:].sqrt(),
            frame_error_sd=INITIAL_ERROR_FRACTION * variance[0].sqrt(),
        )

    def _error_variance(self) -> Tensor:
        """Return (1 + W, C): as on validation data; as in movies without activity."""
        # Errors were measured with a part of the neurons missing.
        recorded = (self._recorded[PAST_FRAMES:] / (1 - MISSING_FRACTION)).clamp(max=1)
        variance = torch.empty(len(recorded), len(self._movie_variance))
        for index, start, stop in split_by_look_ahead(len(recorded)):
            size = LOOK_AHEADS[index] + 1
            present = recorded[start : stop + size - 1].unfold(0, size, 1).mean(1)
            error = self._decoder.residual_variance[index]
            variance[start:stop] = torch.lerp(
                self._movie_variance, error, present[:, None]
            )
        return variance
