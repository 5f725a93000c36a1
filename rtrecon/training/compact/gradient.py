"""A batch's misfit and its gradient: shared among processes, and taken in pieces.

A batch's misfit is a mean over its frames, so its gradient is a sum over pieces of it.
How many there are decides how much memory each takes, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.encoder.compact import MEMORY
from rtrecon.encoder.device_memory import in_memory
from rtrecon.training.compact.data import Data
from rtrecon.training.compact.trainable_encoder import Trainee
from rtrecon.training.distributed import Place

Loss = Callable[[Data], tuple[Tensor, Tensor]]  # misfit, and all that is made small


def poisson_misfit(expected: Tensor, data: Data, weight: Tensor) -> Tensor:
    """Return the misfit summed over neurons, each weighted (n,) to count alike."""
    recorded = data.activity[MEMORY - 1 :]
    known = ~recorded.isnan()
    per_frame = (expected - recorded.nan_to_num() * expected.log()) * known
    return (per_frame.mean(0) * weight).sum()


class Gradient:
    """Leaves a batch's gradient in the trainee.

    Remembers in how many pieces this process takes its share: in twice as many whenever
    the device runs out of memory, which `say` is told.
    """

    def __init__(
        self, trainee: Trainee, loss: Loss, place: Place, say: Callable[[str], None]
    ) -> None:
        self._trainee, self._loss = trainee, loss
        self._place, self._say = place, say
        self._pieces = 1

    def of(self, batch: Data) -> Tensor:
        """Return what this process's share adds to the batch's misfit."""
        misfit = in_memory(lambda: self._taken(batch), self._ease, self._say)
        grads = (weights.grad for weights in self._trainee.parameters())
        self._place.sum(grad for grad in grads if grad is not None)
        return misfit

    def _taken(self, batch: Data) -> Tensor:
        self._trainee.zero_grad()
        n_pieces = self._place.size * self._pieces
        if n_pieces > batch.n_answers:
            raise UserError(
                f"a batch of {len(batch)} frames cannot be cut into {n_pieces}: these "
                "neurons need more memory than the GPU has, or the processes are too "
                "many; train with --device cpu, or start fewer"
            )
        total = torch.zeros((), device=self._place.device)
        for piece in range(self._pieces):
            part = batch.share(self._place.rank * self._pieces + piece, n_pieces)
            share = part.n_answers / batch.n_answers
            misfit, loss = self._loss(part)
            (share * loss).backward()
            total += share * misfit.detach()
        return total

    def _ease(self) -> str:
        self._pieces *= 2
        return (
            f"{self._place.device} ran out of memory: batches are taken in "
            f"{self._pieces} pieces from now on, which changes nothing else"
        )
