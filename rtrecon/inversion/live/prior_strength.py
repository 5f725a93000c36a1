"""How strong what is on the screen is, coefficient by coefficient, beside movies.

The prior knows how movies are. A grating or noise has its contrast where movies have
next to none, and there a prior that insists takes it for noise of the neurons. So what
multiplies each coefficient's variance is learnt from the window as it moves on:
empirical Bayes, in the form that converges fastest (MacKay 1992, "Bayesian
interpolation"). What is found is compared with how much of movies is found, and not
with movies themselves, for of most coefficients neurons tell little.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rtrecon.inversion.objective import Problem

YOUNG_FRAMES = 8  # of the window: neurons are not yet through with answering them
_USUAL = 3.0  # as many innovations as this, movies count for
_CERTAIN = 1e-4, 0.98  # of an innovation, nothing is known, or all
_MOST = 20.0**2  # times the variance in movies


class Amplitudes:
    """precision (C,): what squares of innovations count; 1 = as in movies."""

    def __init__(self, problem: Problem) -> None:
        heard = problem.heard
        self._heard = None if heard is None else heard.clamp(*_CERTAIN)
        self.precision = torch.ones_like(problem.prior.mean)

    def learn(self, z: Tensor, told: Tensor) -> None:
        """Take in the window's innovations (1 + T, C), and what is told of it (T,)."""
        if self._heard is None:
            return
        frames, squares = settled(z, told)
        determined = self._heard / (self._heard + self.precision * (1 - self._heard))
        found = (_USUAL + frames * determined) / (_USUAL + squares)
        self.precision = found.clamp(min=1 / _MOST)


def settled(z: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many frames count (), and the sum over them of squares of z (C,).

    z: (1 + T, C), first the frame before the window. told: (T,) 0..1, how much each
    frame counts; the youngest do not.
    """
    own = told[: max(0, len(told) - YOUNG_FRAMES)].to(z)
    return own.sum(), own @ z[1 : 1 + len(own)].square()
