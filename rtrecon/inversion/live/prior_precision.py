"""Adapts the prior's precision to the strength of the stimulus, per coefficient.

The prior describes natural movies. A grating or noise has its contrast where movies
have almost none; a fixed prior then treats the response as noise of the neurons. So the
factor on each coefficient's precision is estimated from the window as it moves on:
empirical Bayes, in the fixed-point form that converges fastest (MacKay 1992, "Bayesian
interpolation", Neural Computation 4:415). The estimate is compared with the power that
is found for movies, not with the power of movies themselves, because neurons carry
little information on most coefficients.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rtrecon.inversion.objective import InverseProblem

EXCLUDED_FRAMES = 8  # newest frames: neurons have not yet responded to them
_PRIOR_FRAMES = 3.0  # weight of the expectation from movies, in frames
_POWER_LIMITS = 1e-4, 0.98  # of the innovations found: nothing, or everything
_MAX_VARIANCE_RATIO = 20.0**2  # to the variance in movies


class PriorPrecision:
    """precision (C,): factor on the squares of the innovations; 1 = as in movies."""

    def __init__(self, problem: InverseProblem) -> None:
        power = problem.innovation_power
        self._power = None if power is None else power.clamp(*_POWER_LIMITS)
        self.precision = torch.ones_like(problem.prior.mean)

    def update(self, z: Tensor, information: Tensor) -> None:
        """Update the precision from a window.

        z: (1 + T, C) innovations. information: (T,) 0..1, information fraction. Without
        the problem's `innovation_power` the precision stays 1.
        """
        if self._power is None:
            return
        frames, squares = accumulate_power(z, information)
        determined = self._power / (self._power + self.precision * (1 - self._power))
        found = (_PRIOR_FRAMES + frames * determined) / (_PRIOR_FRAMES + squares)
        self.precision = found.clamp(min=1 / _MAX_VARIANCE_RATIO)


def accumulate_power(z: Tensor, information: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number of frames that count (), and their sum of squares of z (C,).

    z: (1 + T, C), first the frame before the window. information: (T,) 0..1, the weight
    of each frame; the newest `EXCLUDED_FRAMES` do not count.
    """
    weight = information[: max(0, len(information) - EXCLUDED_FRAMES)].to(z)
    return weight.sum(), weight @ z[1 : 1 + len(weight)].square()
