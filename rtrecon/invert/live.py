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

    Remembers z (W, C), the optimiser's moments, the frame before the window, what the
    encoder saw before it, and the window's activity and behaviour. Missing activity
    is NaN and simply does not count.
    """

    def __init__(self, problem: Problem, window_frames: int, seed: int = 0) -> None:
        self.problem = problem
        self.window_frames = window_frames
        n_coef, n = problem.prior.rho.shape[0], problem.encoder.n_neurons
        generator = torch.Generator().manual_seed(seed)
        # An exactly gray start has no gradient where energies are even in contrast.
        self.z = 0.02 * torch.randn(window_frames, n_coef, generator=generator)
        self._generator = generator
        self._moments = torch.zeros(2, window_frames, n_coef)
        self._kernel, self._decay = problem.prior.unroll(window_frames)
        self._before = problem.prior.mean.clone()
        gray = problem.encoder.look(problem.prior.mean[None])
        self._context = gray.expand(MEMORY - 1, -1).clone()
        self.activity = torch.full((window_frames, n), torch.nan)
        self.behavior = torch.zeros(window_frames, 2)

    def advance(self, activity: Tensor, behavior: Tensor) -> Tensor:
        """Take in h new frames of activity (h, n) and behaviour (h, 2).

        Returns the h frames (h, n_coef) that left the window: they are final.
        """
        hop = len(activity)
        with torch.no_grad():
            frames = self.frames()
            left = frames[:hop]
            self._before = left[-1].clone()
            seen = torch.cat([self._context, self.problem.encoder.look(left)])
            self._context = seen[-(MEMORY - 1) :].clone()
            fresh = 0.02 * torch.randn(hop, self.z.shape[1], generator=self._generator)
            self.z = torch.cat([self.z[hop:], fresh])
            first, second = self._moments
            self._moments = torch.stack(
                [
                    torch.cat([first[hop:], torch.zeros_like(first[:hop])]),
                    torch.cat([second[hop:], second[-1:].expand(hop, -1)]),
                ]
            )
            self.activity = torch.cat([self.activity[hop:], activity])
            self.behavior = torch.cat([self.behavior[hop:], behavior])
        return left

    def step(self, progress: float) -> float:
        """Take one step; `progress` 0..1 through the hop sets its size.

        Returns the objective before the step.
        """
        z = self.z.requires_grad_(True)
        loss = self._objective(z)
        (gradient,) = torch.autograd.grad(loss, z)
        rate = _FIRST_RATE * (_LAST_RATE / _FIRST_RATE) ** progress
        with torch.no_grad():
            first, second = self._moments
            first.mul_(_DECAYS[0]).add_(gradient, alpha=1 - _DECAYS[0])
            second.mul_(_DECAYS[1]).addcmul_(gradient, gradient, value=1 - _DECAYS[1])
            self.z = z.detach() - rate * first / (second.sqrt() + _EPSILON)
        return float(loss.detach())

    def frames(self) -> Tensor:
        """Return the window's movie (W, n_coef), newest last."""
        return self._unrolled(self.z.detach())

    def predict(self) -> Tensor:
        """Return the activity (W, n) that the window's movie would cause."""
        with torch.no_grad():
            return self._answer(self.frames())

    def _objective(self, z: Tensor) -> Tensor:
        predicted = self._answer(self._unrolled(z))
        known = torch.isfinite(self.activity)
        recorded = torch.where(known, self.activity, 0.0)
        misfit = (predicted - recorded * predicted.log()) * known
        return (misfit.sum(0) @ self.problem.weight) + 0.5 * z.square().sum()

    def _unrolled(self, z: Tensor) -> Tensor:
        mean = self.problem.prior.mean
        driven = torch.einsum("kts,sk->tk", self._kernel, z)
        return mean + driven + self._decay * (self._before - mean)

    def _answer(self, frames: Tensor) -> Tensor:
        seen = torch.cat([self._context, self.problem.encoder.look(frames)])
        return self.problem.encoder.answer(seen, self.behavior)
