"""Standard deviation of each pixel of the live movie, by the age of the frame.

The variance of posterior samples about the movie is averaged over some seconds and over
neighbouring pixels, and multiplied by how much larger squared errors were in movies
that calibration knew. Where activity was lost, the prior's variance takes its share: a
sample does not know how wrong the encoder is, and this counts more with fewer neurons.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from rtrecon.core.types import Array
from rtrecon.stimulus_space.space import StimulusSpace

CALIBRATED_HOP_FRAMES = 5  # ages at which calibration measures, in steps of this
MEMORY_HOPS = 60  # of the running mean; 10 s with the default hop
MIN_HOPS = 12  # before this, too few samples to say anything
_SMOOTHING_PX = 2.0


class MovieSpread:
    """Running variance of samples, (ages, height, width), in squared gray levels.

    Age i means frames that are i hops old, 0 the newest. ratio: (k, height, width), see
    `Calibration.error_ratio`. space: of the stimuli.
    """

    def __init__(self, ratio: Array, hop_frames: int, space: StimulusSpace) -> None:
        self._ratio, self._hop_frames = ratio, hop_frames
        self._smoothing = 0.0, *space.limit_smoothing(_SMOOTHING_PX)
        self._variance: Array | None = None
        self._recorded = np.empty(0)
        self._n_hops = 0

    def add_hop(self, difference: Array, recorded_fraction: Array) -> None:
        """Add sample minus movie of a window, (W, height * width) in gray levels.

        recorded_fraction: (W,) 0..1, see `MapInversion.recorded_fraction`.
        """
        self._recorded = average_by_age(recorded_fraction, self._hop_frames)
        squares = average_by_age(np.square(difference), self._hop_frames)
        variance = squares.reshape(-1, *self._ratio.shape[1:])
        self._n_hops += 1
        if self._variance is None:
            self._variance = variance
            return
        share = 1 / min(self._n_hops, MEMORY_HOPS)
        self._variance += share * (variance - self._variance)

    def compute_sd(self, prior_sd: Array) -> Array | None:
        """Return the s.d. (ages, height, width), float32; None with too few hops.

        prior_sd: (height, width), without any activity.
        """
        if self._variance is None or self._n_hops < MIN_HOPS:
            return None
        ages = np.arange(len(self._variance)) * self._hop_frames
        rows = np.minimum(ages // CALIBRATED_HOP_FRAMES, len(self._ratio) - 1)
        smoothed = gaussian_filter(self._variance, self._smoothing)
        known = smoothed * self._ratio[rows]
        unknown = np.maximum(known, np.square(prior_sd))
        recorded = self._recorded[:, None, None]
        variance = recorded * known + (1 - recorded) * unknown
        return np.asarray(np.sqrt(variance), np.float32)


def average_by_age(values: Array, hop_frames: int) -> Array:
    """Return means over hops (ages, ...) of values (W, ...), newest first."""
    hops = values.reshape(-1, hop_frames, *values.shape[1:]).mean(1)
    return np.asarray(hops[::-1])
