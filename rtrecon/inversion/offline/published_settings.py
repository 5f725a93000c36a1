"""The published protocol's numbers, and which of its quirks to keep."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedSettings:
    """How the published protocol goes; every default is the published value.

    steps: how often the movie is moved. window_frames, stride_frames: how the clip is
    cut; a stride of a whole window needs a quarter of the passes. start: gray value to
    begin with. pad: value of the rows around the visible ones, for encoders of padded
    frames: published is 127.5, though they were trained with 0. rate, warm_up: step
    size, and over how many steps it rises from nothing. momentum: share of the old
    direction that stays. doubled_correction: the momentum's bias is divided out twice;
    once would do. ramp: decay of Adam's second moment, of which only its bias
    correction is left, a slow rise of the step size; 0 for none. limit: of a pixel's
    gradient, hardly ever reached. behavior_in_norm: a window's gradient is scaled to
    length one counting that by behaviour, where the encoder paints it on planes;
    without, only what moves the movie counts. dropped_silent: neurons that are not
    kept are asked to be silent, as in the published ablation; False takes them out of
    the loss. ensemble_gradients: several encoders move one movie by their mean
    gradient, the published alternative to averaging the movies of each.
    windows_at_once: bounds memory, changes no result; halved where that fails.
    """

    steps: int = 1000
    window_frames: int = 32
    stride_frames: int = 8
    start: float = 127.5
    pad: float = 127.5
    rate: float = 1000.0
    warm_up: int = 10
    momentum: float = 0.9
    doubled_correction: bool = True
    ramp: float = 0.999
    limit: float = 1.0
    behavior_in_norm: bool = True
    dropped_silent: bool = True
    ensemble_gradients: bool = False
    windows_at_once: int = 64

    def step_size(self, step: int) -> float:
        """Return what the momentum is multiplied by at `step` 1, 2, ..."""
        # One ahead, as published: there, step 0 counts but moves nothing.
        unbiased = 1 - self.momentum ** (step + 1)
        size = self.rate * min(1.0, step / self.warm_up) / unbiased
        if self.doubled_correction:
            size /= unbiased
        return size * math.sqrt(1 - self.ramp ** (step + 1))
