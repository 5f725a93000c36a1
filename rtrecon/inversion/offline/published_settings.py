"""Parameters of the published protocol, and which of its peculiarities to keep."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedSettings:
    """Parameters of the published protocol; every default is the published value.

    steps: number of steps. window_frames, stride_frames: how the clip is cut; a stride
    of a whole window needs a quarter of the passes. start: initial gray level. pad:
    gray level of the rows around the visible ones, for encoders of padded frames; the
    published value is 127.5, although the encoders were trained with 0. rate, warm_up:
    step size, and the number of steps over which it rises from 0. momentum: fraction of
    the old direction that remains. doubled_correction: divide by the bias of the
    momentum twice, as published; once would be right. ramp: decay of Adam's second
    moment, of which the protocol uses only the bias correction, a slow rise of the step
    size; 0 = none. limit: of a pixel's gradient, hardly ever reached. behavior_in_norm:
    include the gradient by behaviour in the norm of a window's gradient, where the
    encoder takes behaviour as planes. dropped_silent: set the activity of neurons that
    are not used to 0, as in the published ablation; False ignores them.
    ensemble_gradients: several encoders move one movie by their mean gradient, instead
    of one movie each. windows_at_once: windows per batch; limits memory, changes no
    result, and is halved when memory runs out.
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
        """Return the factor of the momentum at `step` 1, 2, ..."""
        # One step ahead, as published, where step 0 counts but moves nothing.
        unbiased = 1 - self.momentum ** (step + 1)
        size = self.rate * min(1.0, step / self.warm_up) / unbiased
        if self.doubled_correction:
            size /= unbiased
        return size * math.sqrt(1 - self.ramp ** (step + 1))
