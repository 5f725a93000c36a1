"""The live inversion: a rolling window of movie, a few warm-started steps per hop.

Minimises, over the prior's innovations z, the quasi-Poisson misfit between recorded
and predicted activity plus |z|^2 / 2. Every hop the window moves on, new frames start
at the prior's own extrapolation, and as many steps are taken as time allows; frames
that leave the window are final and become context. Cost per step does not grow with
the session.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtrecon.encoder.compact import MEMORY, Compact
from rtrecon.encoder.prior import Prior

_DECAYS = (0.8, 0.98)  # of the gradient's first and second moment
_EPSILON = 1e-3
_FIRST_RATE, _LAST_RATE = 0.5, 0.15  # step sizes within a hop, in units of z


@dataclass(frozen=True)
class Problem:
    """What is inverted: encoder and prior frozen, `weight` (n,) >= 0 per neuron.

    A neuron's weight is temperature / dispersion; 0 keeps it out.
    """

    encoder: Compact
    prior: Prior
    weight: Tensor


class LiveInverter:
    """Holds the window and everything that survives from hop to hop.

    Remembers z (1 + W, C), the optimiser's moments, the frame before the window, what
    the encoder saw before it, and the window's activity and behaviour. Missing
    activity is NaN and simply does not count.
    """

    def __init__(self, problem: Problem, window_frames: int, seed: int = 0) -> None:
        self.problem = problem
        self.window_frames = window_frames
        n_coef, n = problem.prior.rho.shape[0], problem.encoder.n_neurons
        generator = torch.Generator().manual_seed(seed)
        # An exactly gray start has no gradient where energies are even in contrast.
        self.z = 0.02 * torch.randn(1 + window_frames, n_coef, generator=generator)
        self._generator = generator
        self._moments = torch.zeros_like(self.z), torch.zeros_like(self.z)
        self._before = problem.prior.mean.clone()
        gray = problem.encoder.look(problem.prior.mean[None])
        self._context = gray.expand(MEMORY - 1, -1).clone()
        self._take(torch.full((window_frames, n), torch.nan))
        self.behavior = torch.zeros(window_frames, 2)

    def advance(self, activity: Tensor, behavior: Tensor) -> Tensor:
        """Take in h new frames of activity (h, n) and behaviour (h, 2).

        Returns the h frames (h, n_coef) that left the window: they are final.
        """
        hop = len(activity)
        left = self.frames()[:hop]
        with torch.no_grad():
            seen = torch.cat([self._context, self.problem.encoder.look(left)])
        self._before = left[-1].clone()
        self._context = seen[-(MEMORY - 1) :].clone()
        shape = (hop, self.z.shape[1])
        fresh = 0.02 * torch.randn(shape, generator=self._generator)
        anchor = torch.zeros_like(self.z[:1])
        self.z = torch.cat([anchor, self.z[1 + hop :], fresh])
        first, second = self._moments
        still, alike = torch.zeros(shape), second[-1:].expand(shape)
        self._moments = (
            torch.cat([anchor, first[1 + hop :], still]),
            torch.cat([second[:1], second[1 + hop :], alike]),
        )
        self._take(torch.cat([self.activity[hop:], activity]))
        self.behavior = torch.cat([self.behavior[hop:], behavior])
        return left

    def _take(self, activity: Tensor) -> None:
        self.activity = activity
        self._known = torch.isfinite(activity)
        self._recorded = torch.where(self._known, activity, 0.0)

    def step(self, progress: float) -> float:
        """Take one step; `progress` 0..1 through the hop sets its size.

        Returns the objective before the step.
        """
        # Through the prior by hand: a scan is slow to differentiate op by op.
        frames = self.frames().requires_grad_(True)
        misfit = self._misfit(frames)
        (by_frame,) = torch.autograd.grad(misfit, frames)
        gradient = self.problem.prior.pull_back(by_frame).add_(self.z)
        first, second = self._moments
        first.mul_(_DECAYS[0]).add_(gradient, alpha=1 - _DECAYS[0])
        second.mul_(_DECAYS[1]).addcmul_(gradient, gradient, value=1 - _DECAYS[1])
        rate = _FIRST_RATE * (_LAST_RATE / _FIRST_RATE) ** progress
        objective = float(misfit.detach()) + 0.5 * float(self.z.square().sum())
        self.z.addcdiv_(first, second.sqrt().add_(_EPSILON), value=-rate)
        return objective

    def frames(self) -> Tensor:
        """Return the window's movie (W, n_coef), newest last."""
        return self.problem.prior.unroll(self.z, self._before)

    def predict(self) -> Tensor:
        """Return the activity (W, n) that the window's movie would cause."""
        with torch.no_grad():
            return self._answer(self.frames())

    def _misfit(self, frames: Tensor) -> Tensor:
        predicted = self._answer(frames)
        misfit = (predicted - self._recorded * predicted.log()) * self._known
        return misfit.sum(0) @ self.problem.weight

    def _answer(self, frames: Tensor) -> Tensor:
        seen = torch.cat([self._context, self.problem.encoder.look(frames)])
        return self.problem.encoder.answer(seen, self.behavior)
