"""What the inversion minimises over a window, and which way is down.

`Objective` says it in torch, for any encoder on any device, and leaves the gradient to
autograd: it is what `FusedObjective` is checked against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rtrecon.config import InvertSettings
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.device_memory import in_memory, say_nothing
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.protocol import LiveEncoder


@dataclass(frozen=True)
class Problem:
    """What is inverted: encoder and prior frozen, `weight` (n,) >= 0 per neuron.

    A neuron's weight is temperature / dispersion; 0 keeps it out. heard (C,): how much
    of movies is found, see `Amplitudes`; None = the prior is held to as it is.
    """

    encoder: LiveEncoder
    prior: Prior
    weight: Tensor
    heard: Tensor | None = None

    @classmethod
    def of(cls, checkpoint: Checkpoint, settings: InvertSettings) -> Problem:
        """State a checkpoint's problem on the device that the settings name."""
        calibration = checkpoint.calibration
        temperature = settings.temperature or calibration.temperature
        heard = calibration.heard if settings.adaptive_prior else None
        weight = temperature / calibration.dispersion
        return cls(checkpoint.model, checkpoint.prior, weight, heard).to(
            settings.device
        )

    @property
    def device(self) -> torch.device:
        """Where the encoder computes."""
        return self.encoder.device

    def to(self, device: str | torch.device) -> Problem:
        """Return all of it on a device. The encoder is not copied: it moves."""
        prior = Prior(
            **{key: value.to(device) for key, value in vars(self.prior).items()}
        )
        encoder = self.encoder.to(torch.device(device))
        heard = None if self.heard is None else self.heard.to(device)
        return Problem(encoder, prior, self.weight.to(device), heard)


class Objective:
    """|z|^2 / 2 plus the quasi-Poisson misfit of recorded to predicted activity.

    z (1 + T, C) are the prior's innovations, T the frames of the window; the square of
    each coefficient's counts `precision` (C,) times. All lies on the problem's device,
    and nothing waits for it. say: told when its memory ran out.
    """

    def __init__(
        self, problem: Problem, say: Callable[[str], object] = say_nothing
    ) -> None:
        self._encoder, self._prior = problem.encoder, problem.prior
        self._weight, self._say = problem.weight, say

    def take(self, past: Tensor, activity: Tensor, behavior: Tensor) -> None:
        """Set the window: what was recorded in it, and what was shown before it.

        past: (past_frames, C) frames. activity: (T, n), NaN where missing. behavior:
        (past_frames + T, 4), see `LiveEncoder.expect`.
        """
        self._past = past
        self._known = torch.isfinite(activity)
        self._recorded = torch.where(self._known, activity, 0.0)
        self._behavior = behavior

    def slope(self, z: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
        """Return the objective and its derivative by z."""
        return in_memory(
            lambda: self._slope(z, precision), self._encoder.ease, self._say
        )

    def predict(self, z: Tensor) -> Tensor:
        """Return the activity (T, n) that the movie of z would cause."""
        with torch.no_grad():
            return in_memory(lambda: self._answer(z), self._encoder.ease, self._say)

    def _slope(self, z: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
        z = z.detach().requires_grad_(True)
        predicted = self._answer(z)
        misfit = (predicted - self._recorded * predicted.log()) * self._known
        value = misfit.sum(0) @ self._weight + (z.square() @ precision).sum() / 2
        (by_z,) = torch.autograd.grad(value, z)
        return value.detach(), by_z

    def _answer(self, z: Tensor) -> Tensor:
        frames = self._prior.unroll(z, self._past[-1])
        return self._encoder.expect(torch.cat([self._past, frames]), self._behavior)
