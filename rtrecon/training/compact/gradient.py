"""Gradient of a batch: shared among processes and computed in pieces.

The loss of a batch is a mean over its frames, so its gradient is a sum over pieces.
Their number determines the memory that each of them takes, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rtrecon.core.errors import UserError
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.device_memory import retry_on_oom
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.compact.trainable_encoder import TrainableEncoder
from rtrecon.training.distributed import DistributedContext

# data -> loss that is reported, and the objective that is minimized
Objective = Callable[[EncoderData], tuple[Tensor, Tensor]]


def compute_poisson_loss(expected: Tensor, data: EncoderData, weight: Tensor) -> Tensor:
    """Return the Poisson loss, summed over neurons with weights (n,).

    Frames with unknown activity (NaN) count as 0.
    """
    recorded = data.activity[MEMORY_FRAMES - 1 :]
    is_known = ~recorded.isnan()
    per_frame = (expected - recorded.nan_to_num() * expected.log()) * is_known
    return (per_frame.mean(0) * weight).sum()


class BatchGradient:
    """Computes the gradient of a batch and stores it in the encoder's parameters.

    Whenever the device runs out of memory, this process takes its share of a batch in
    twice as many pieces from then on; `notify` receives a notice of it.
    """

    def __init__(
        self,
        encoder: TrainableEncoder,
        objective: Objective,
        context: DistributedContext,
        notify: Callable[[str], None],
    ) -> None:
        self._encoder, self._objective = encoder, objective
        self._context, self._notify = context, notify
        self._n_pieces = 1

    def compute(self, batch: EncoderData) -> Tensor:
        """Return the part of the batch's loss that this process's share adds."""
        loss = retry_on_oom(
            lambda: self._accumulate(batch), self._reduce_memory, self._notify
        )
        grads = (weights.grad for weights in self._encoder.parameters())
        self._context.all_reduce(grad for grad in grads if grad is not None)
        return loss

    def _accumulate(self, batch: EncoderData) -> Tensor:
        self._encoder.zero_grad()
        n_pieces = self._context.world_size * self._n_pieces
        if n_pieces > batch.n_predicted:
            raise UserError(
                f"a batch of {len(batch)} frames cannot be cut into {n_pieces} pieces: "
                "these neurons need more memory than the device has, or there are too "
                "many processes; train with --device cpu, or start fewer"
            )
        total = torch.zeros((), device=self._context.device)
        for piece in range(self._n_pieces):
            part = batch.select_share(
                self._context.rank * self._n_pieces + piece, n_pieces
            )
            share = part.n_predicted / batch.n_predicted
            loss, objective = self._objective(part)
            (share * objective).backward()
            total += share * loss.detach()
        return total

    def _reduce_memory(self) -> str:
        self._n_pieces *= 2
        return (
            f"{self._context.device} ran out of memory: batches are computed in "
            f"{self._n_pieces} pieces from now on; this changes nothing else"
        )
