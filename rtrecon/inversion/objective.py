"""The objective of the inversion over a window, and its gradient.

`Objective` is written in torch, for any encoder on any device, and takes the gradient
from autograd. Tests compare `FusedObjective`, the fast version for a CPU, with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rtrecon.config import InversionSettings
from rtrecon.core.errors import UserError
from rtrecon.encoder.activity_decoder import ActivityDecoder
from rtrecon.encoder.base import LiveEncoder
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.device_memory import ignore_notice, retry_on_oom
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.window_prior import WindowPrior
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO


@dataclass(frozen=True)
class InverseProblem:
    """An encoder to invert, its prior, and the weight of each neuron; all frozen.

    decoder: its estimate is the prior's mean; None leaves the prior of movies alone.
    space: of the stimuli.

    weight: (n,) >= 0, data weight / dispersion; 0 ignores the neuron.
    innovation_power: (C,) mean square of the innovations that are found for movies, see
    `PriorPrecision`; None leaves the prior as it is.
    """

    encoder: LiveEncoder
    prior: Prior
    weight: Tensor
    innovation_power: Tensor | None = None
    decoder: ActivityDecoder | None = None
    space: StimulusSpace = VIDEO

    @classmethod
    def from_checkpoint(
        cls, checkpoint: Checkpoint, settings: InversionSettings
    ) -> InverseProblem:
        """Return a checkpoint's problem on the device that the settings name.

        UserError where they ask for a decoder that the checkpoint does not have.
        """
        calibration = checkpoint.calibration
        decoder = _choose_decoder(checkpoint, settings)
        fitted = calibration if decoder is None else decoder
        data_weight = settings.data_weight or fitted.data_weight
        power = fitted.innovation_power if settings.adaptive_prior else None
        weight = data_weight / calibration.dispersion
        problem = cls(
            checkpoint.encoder,
            checkpoint.prior,
            weight,
            power,
            decoder,
            checkpoint.space,
        )
        return problem.to(settings.device)

    @property
    def device(self) -> torch.device:
        """Where the encoder computes."""
        return self.encoder.device

    def to(self, device: str | torch.device) -> InverseProblem:
        """Return the problem on a device. The encoder is moved, not copied."""
        prior = Prior(
            **{key: value.to(device) for key, value in vars(self.prior).items()}
        )
        encoder = self.encoder.to(torch.device(device))
        power = self.innovation_power
        power = None if power is None else power.to(device)
        weight = self.weight.to(device)
        return InverseProblem(encoder, prior, weight, power, self.decoder, self.space)


def _choose_decoder(
    checkpoint: Checkpoint, settings: InversionSettings
) -> ActivityDecoder | None:
    decoder = checkpoint.decoder
    if settings.prior == "decoder" and decoder is None:
        raise UserError(
            f"inversion.prior = 'decoder', but checkpoint {checkpoint.card.path} has "
            "no decoder; train it anew, or set inversion.prior = 'auto'"
        )
    if settings.prior == "auto" and decoder is not None and not decoder.is_helpful:
        return None
    return None if settings.prior == "movies" else decoder


class Objective:
    """|z|^2 / 2 plus the quasi-Poisson misfit of recorded to predicted activity.

    z (1 + T, C) are the prior's innovations, T the frames of the window; the squares of
    each coefficient are multiplied by `precision` (C,). All tensors lie on the
    problem's device, and no method waits for it. notify: gets a sentence when the
    device's memory ran out.
    """

    def __init__(
        self, problem: InverseProblem, notify: Callable[[str], object] = ignore_notice
    ) -> None:
        self._encoder, self._notify = problem.encoder, notify
        self._weight = problem.weight

    def set_window(
        self, past: Tensor, activity: Tensor, behavior: Tensor, prior: WindowPrior
    ) -> None:
        """Set the window's data, its prior, and the movie before it.

        past: (past_frames, C) frames before the window. activity: (T, n), NaN where
        missing. behavior: (past_frames + T, 4), see `LiveEncoder.predict`.
        """
        self._past, self._prior = past, prior
        self._is_recorded = torch.isfinite(activity)
        self._recorded = torch.where(self._is_recorded, activity, 0.0)
        self._behavior = behavior

    def value_and_gradient(self, z: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
        """Return the objective (), and its gradient by z (1 + T, C)."""
        return retry_on_oom(
            lambda: self._value_and_gradient(z, precision),
            self._encoder.reduce_memory,
            self._notify,
        )

    def predict_activity(self, z: Tensor) -> Tensor:
        """Return the activity (T, n) that the movie of z would cause."""
        with torch.no_grad():
            return retry_on_oom(
                lambda: self._predict(z), self._encoder.reduce_memory, self._notify
            )

    def _value_and_gradient(
        self, z: Tensor, precision: Tensor
    ) -> tuple[Tensor, Tensor]:
        z = z.detach().requires_grad_(True)
        predicted = self._predict(z)
        misfit = (predicted - self._recorded * predicted.log()) * self._is_recorded
        value = misfit.sum(0) @ self._weight + (z.square() @ precision).sum() / 2
        (by_z,) = torch.autograd.grad(value, z)
        return value.detach(), by_z

    def _predict(self, z: Tensor) -> Tensor:
        frames = self._prior.generate_frames(z, self._past[-1])
        return self._encoder.predict(torch.cat([self._past, frames]), self._behavior)
