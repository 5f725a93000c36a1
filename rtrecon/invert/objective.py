"""What the inversion minimises over a window, and which way is down.

`Objective` says it in torch, on any device, and leaves the gradient to autograd: it is
what `FusedObjective` is checked against.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rtrecon.encoder.compact import Compact
from rtrecon.encoder.prior import Prior


@dataclass(frozen=True)
class Problem:
    """What is inverted: encoder and prior frozen, `weight` (n,) >= 0 per neuron.

    A neuron's weight is temperature / dispersion; 0 keeps it out.
    """

    encoder: Compact
    prior: Prior
    weight: Tensor

    @property
    def device(self) -> torch.device:
        """Where all of it lies."""
        return self.weight.device

    def to(self, device: str) -> Problem:
        """Return it on a device. The encoder is not copied: it moves."""
        prior = Prior(
            **{key: value.to(device) for key, value in vars(self.prior).items()}
        )
        return Problem(self.encoder.to(device), prior, self.weight.to(device))


class Objective:
    """|z|^2 / 2 plus the quasi-Poisson misfit of recorded to predicted activity.

    z (1 + T, C) are the prior's innovations, T the frames of the window.
    """

    def __init__(self, problem: Problem) -> None:
        self._encoder, self._prior = problem.encoder, problem.prior
        self._weight = problem.weight

    def take(self, past: Tensor, activity: Tensor, behavior: Tensor) -> None:
        """Set the window: what was recorded in it, and what was shown before it.

        past: (MEMORY - 1, C) frames. activity: (T, n), NaN where missing. behavior:
        (T, 2), see `Compact.answer`.
        """
        self._past = past
        self._known = torch.isfinite(activity)
        self._recorded = torch.where(self._known, activity, 0.0)
        self._behavior = behavior

    def slope(self, z: Tensor) -> tuple[float, Tensor]:
        """Return the objective and its derivative by z."""
        z = z.detach().requires_grad_(True)
        predicted = self._answer(z)
        misfit = (predicted - self._recorded * predicted.log()) * self._known
        value = misfit.sum(0) @ self._weight + z.square().sum() / 2
        (by_z,) = torch.autograd.grad(value, z)
        return value.item(), by_z

    def predict(self, z: Tensor) -> Tensor:
        """Return the activity (T, n) that the movie of z would cause."""
        with torch.no_grad():
            return self._answer(z)

    def _answer(self, z: Tensor) -> Tensor:
        frames = self._prior.unroll(z, self._past[-1])
        seen = self._encoder.look(torch.cat([self._past, frames]))
        return self._encoder.answer(seen, self._behavior)
