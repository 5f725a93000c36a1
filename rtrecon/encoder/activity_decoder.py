"""A linear decoder: from activity around a frame to an estimate of the frame.

The inversion uses the estimate as the mean of its prior, and the decoder's errors on
movies that it was not fitted to as the prior's spread. A few latents per frame, which
are weighted sums over neurons, are averaged in bins of time and weighted once more. The
newest frames have little later activity, so there are weights for several look-aheads.
See docs/algorithms/inversion.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

# Frames of activity that a decoded frame depends on, relative to it: first to stop.
# By look-ahead in frames: each takes no later frame than its own number.
BINS: dict[int, tuple[tuple[int, int], ...]] = {
    0: ((-8, -4), (-4, -2), (-2, -1), (-1, 0), (0, 1)),
    2: ((-4, -2), (-2, 0), (0, 1), (1, 2), (2, 3)),
    4: ((-4, -2), (-2, 0), (0, 2), (2, 3), (3, 4), (4, 5)),
    8: ((-4, -2), (-2, 0), (0, 2), (2, 4), (4, 6), (6, 9)),
    12: ((-4, -2), (-2, 0), (0, 2), (2, 4), (4, 6), (6, 9), (9, 13)),
}
LOOK_AHEADS = tuple(BINS)
PAST_FRAMES = 8  # of activity before a decoded frame, at most
# Of the neurons, while errors are measured: as many as a session holds out.
MISSING_FRACTION = 0.1
# Where activity drifts, a linear decoder fails sooner than an encoder: on a simulated
# session with a gain of 0.01, clips of another session became worse by 0.05.
MIN_GAIN = 0.02
_BINS_PER_LOOK_AHEAD = [len(bins) for bins in BINS.values()]


@dataclass(frozen=True)
class ActivityDecoder:
    """Weights of K latents of n neurons, R components of C coefficients, and errors.

    activity_mean (n,). projection (n, K): latents of activity about its mean. weights
    (bins of all look-aheads * K, R). components (R, C). offset (C,). residual_variance
    (look-aheads, C), residual_ar (C,): of the movie less the estimate, on validation
    data. innovation_power (C,), data_weight: as in `Calibration`, for an inversion with
    this decoder. gain: of pixel correlation of a live movie on validation data, against
    an inversion without the decoder.
    """

    activity_mean: Tensor
    projection: Tensor
    weights: Tensor
    components: Tensor
    offset: Tensor
    residual_variance: Tensor
    residual_ar: Tensor
    innovation_power: Tensor
    data_weight: float
    gain: float

    @property
    def is_helpful(self) -> bool:
        """Whether it gained enough to be used where settings leave the choice open."""
        return self.gain >= MIN_GAIN

    def require_shapes(self, n_neurons: int, n_coef: int) -> None:
        """Raise ValueError where a tensor does not fit the others."""
        n_latents, n_components = self.projection.shape[-1], len(self.components)
        expected = {
            "activity_mean": (n_neurons,),
            "projection": (n_neurons, n_latents),
            "weights": (sum(_BINS_PER_LOOK_AHEAD) * n_latents, n_components),
            "components": (n_components, n_coef),
            "offset": (n_coef,),
            "residual_variance": (len(LOOK_AHEADS), n_coef),
            "residual_ar": (n_coef,),
            "innovation_power": (n_coef,),
        }
        for name, shape in expected.items():
            found = tuple(getattr(self, name).shape)
            if found != shape:
                raise ValueError(
                    f"'decoder.{name}' has shape {found} in place of {shape}"
                )

    def project_activity(self, activity: Tensor) -> Tensor:
        """Return latents (T, K) of activity (T, n); NaN counts as the mean."""
        return (activity - self.activity_mean).nan_to_num() @ self.projection

    def decode_frames(self, latents: Tensor) -> Tensor:
        """Return the estimate (T, C) of all but the first `PAST_FRAMES` frames.

        latents: (PAST_FRAMES + T, K). Each frame is decoded with the largest look-ahead
        for which there is activity.
        """
        n_frames = len(latents) - PAST_FRAMES
        parts = [
            self.decode_with_look_ahead(
                latents[start : PAST_FRAMES + stop + LOOK_AHEADS[index]], index
            )
            for index, start, stop in split_by_look_ahead(n_frames)
        ]
        return torch.cat(parts)

    def decode_with_look_ahead(self, latents: Tensor, index: int) -> Tensor:
        """Return the estimate (T, C) with the look-ahead of an index, for all frames.

        latents: (PAST_FRAMES + T + look-ahead, K).
        """
        look_ahead = LOOK_AHEADS[index]
        n_frames = len(latents) - PAST_FRAMES - look_ahead
        averages = average_bins(latents, BINS[look_ahead], PAST_FRAMES, n_frames)
        weights = self._look_ahead_weights(index)
        return averages @ weights @ self.components + self.offset

    def _look_ahead_weights(self, index: int) -> Tensor:
        n_latents = self.projection.shape[1]
        first = n_latents * sum(_BINS_PER_LOOK_AHEAD[:index])
        return self.weights[first : first + n_latents * _BINS_PER_LOOK_AHEAD[index]]


def split_by_look_ahead(n_frames: int) -> list[tuple[int, int, int]]:
    """Return (index of the look-ahead, start, stop) of a window's frames.

    The newest frame of the window has the look-ahead 0. Parts are in order of time.
    """
    first_ages = (*LOOK_AHEADS, n_frames)
    parts = [
        (index, n_frames - end, n_frames - age)
        for index, (age, end) in enumerate(pairwise(first_ages))
    ]
    return [
        (index, max(0, start), stop) for index, start, stop in parts[::-1] if stop > 0
    ]


def average_bins(
    signals: Tensor, bins: tuple[tuple[int, int], ...], first: int, n_frames: int
) -> Tensor:
    """Return (n_frames, bins * K): means of signals (T, K) in bins around each frame.

    first: index in `signals` of the first of the frames.
    """
    averages = []
    for start, stop in bins:
        delayed = [signals[first + lag :][:n_frames] for lag in range(start, stop)]
        averages.append(torch.stack(delayed).mean(0))
    return torch.cat(averages, 1)
