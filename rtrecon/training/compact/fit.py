"""Training of the compact encoder: initialization, then gradient descent end to end.

Data are in main memory, whatever their size, and go to the device batch by batch; the
copy of a batch overlaps with the computation on the one before.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rtrecon.core.errors import UserError
from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.device_memory import ignore_notice
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import VIDEO
from rtrecon.training import training_state
from rtrecon.training.compact.core import EncoderCore
from rtrecon.training.compact.cutmix import apply_cutmix
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.compact.gradient import BatchGradient, compute_poisson_loss
from rtrecon.training.compact.patches import make_spatial_windows
from rtrecon.training.compact.trainable_encoder import (
    EncoderWeights,
    TrainableEncoder,
    initialize_encoder,
    make_uninitialized,
)
from rtrecon.training.distributed import SINGLE_PROCESS, DistributedContext
from rtrecon.training.score import average_correlation, compute_correlation


@dataclass(frozen=True)
class TrainingRecipe:
    """Hyperparameters of training.

    filter_penalty: weight of the penalty on filter energy. patience: training ends
    after so many epochs without better validation. ema_decay: exponential moving
    average of the weights, per batch; 0 = the weights themselves are validated and
    saved. cutmix_fraction: fraction of batches that CutMix is applied to.
    """

    epochs: int = 20
    batch_frames: int = 1000
    learning_rate: float = 0.012
    filter_penalty: float = 1e-4
    seed: int = 0
    patience: int = 5
    ema_decay: float = 0.0
    cutmix_fraction: float = 0.0


# For new neurons on a known core: minutes of data, and mixture weights, not pixels.
READOUT_RECIPE = TrainingRecipe(epochs=12, batch_frames=300, filter_penalty=3e-3)


@dataclass(frozen=True)
class FitJob:
    """What to train on, how and where.

    core: from known neurons; its filters are not trained. initial: weights of the same
    neurons to train on from; None = find receptive fields first. state_path: file
    written after every epoch; if it exists, training resumes from it, on whatever
    device and with however many processes it was started. notify: receives notices.
    space: of the stimuli.
    """

    training: EncoderData
    validation: EncoderData
    recipe: TrainingRecipe
    core: EncoderCore | None = None
    initial: EncoderWeights | None = None
    state_path: Path | None = None
    context: DistributedContext = SINGLE_PROCESS
    notify: Callable[[str], None] = ignore_notice
    space: StimulusSpace = VIDEO


@dataclass(frozen=True)
class EpochProgress:
    """Scores of an epoch: mean loss in training, mean Pearson r in validation."""

    epoch: int
    training_loss: float
    validation_r: float


@dataclass(frozen=True)
class FitResult:
    """The encoder of the epoch with the best validation r, on the CPU; all epochs.

    weights: of the last epoch, from which training can go on with more data.
    """

    encoder: CompactEncoder
    history: list[EpochProgress]
    weights: EncoderWeights


def fit_encoder(job: FitJob, on_epoch: Callable[[EpochProgress], None]) -> FitResult:
    """Train until the last epoch, or until patience ends.

    The seed determines the result; on another device or with more processes it agrees
    up to rounding. Raises UserError if the device has too little memory, or if the loss
    or a weight is not finite.
    """
    torch.manual_seed(job.recipe.seed)
    try:
        loop = _TrainingLoop(job)
        while not loop.is_finished:
            progress = loop.run_epoch()
            loop.save_state()
            on_epoch(progress)
    except torch.OutOfMemoryError:
        raise UserError(
            f"{job.context.device} has no memory for an encoder of "
            f"{job.training.activity.shape[1]} neurons; end what else uses it, or "
            "train with --device cpu"
        ) from None
    return FitResult(loop.best, loop.history, loop.get_weights())


# Steps of the schedule, at least: OneCycleLR divides by those of its rise and of its
# fall, less one each.
_MIN_RISE_STEPS, _MIN_STEPS = 2, 3


class _TrainingLoop:
    """A training run and everything that its next epoch depends on."""

    def __init__(self, job: FitJob) -> None:
        self._job, self._context, recipe = job, job.context, job.recipe
        self._description = _describe_job(job)
        stored = _load_state(job, self._description)
        self._encoder = _make_encoder(job, stored)
        device = job.context.device
        self._window_and_basis: tuple[Tensor, Tensor] | None = None
        if job.space.is_picture:
            window = make_spatial_windows(self._encoder.centers, job.space.shape)
            basis = make_dct_basis(job.space).vectors
            self._window_and_basis = window.to(device), basis.to(device)
        self._n_frames = min(recipe.batch_frames, len(job.training))
        self._starts = self._n_frames * np.arange(len(job.training) // self._n_frames)
        self._averaged = AveragedModel(
            self._encoder, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay)
        )
        self._optimizer = torch.optim.Adam(
            self._encoder.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99)
        )
        n_steps = max(recipe.epochs * len(self._starts), _MIN_STEPS)
        self._schedule = OneCycleLR(
            self._optimizer,
            recipe.learning_rate,
            n_steps,
            pct_start=max(0.1, _MIN_RISE_STEPS / n_steps),
        )
        self._weight = (1 / (job.training.mean_activity() + 1e-3)).to(device)
        self._gradient = BatchGradient(
            self._encoder, self._compute_loss, job.context, job.notify
        )
        self.history: list[EpochProgress] = []
        self.best = self._encoder.export_encoder().cpu()
        if stored is not None:
            self._restore_state(stored)

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are done, or patience has ended."""
        r = [progress.validation_r for progress in self.history]
        since_best = len(r) - 1 - int(np.argmax(r)) if r else 0
        recipe = self._job.recipe
        return len(r) >= recipe.epochs or since_best >= recipe.patience

    def run_epoch(self) -> EpochProgress:
        """Go through the data once, then validate."""
        epoch = len(self.history) + 1
        # A generator per epoch: a resumed run draws the same numbers.
        rng = np.random.default_rng([self._job.recipe.seed, len(self.history)])
        starts = rng.permutation(self._starts)
        losses = torch.stack(
            [self._take_step(self._make_batch(start, rng)) for start in starts]
        )
        self._context.all_reduce([losses])
        encoder = self._evaluated_encoder().export_encoder()
        _require_finite(epoch, losses, encoder)
        r = self._context.broadcast_scalar(
            lambda: average_correlation(
                compute_correlation(encoder, self._job.validation)
            )
        )
        before = [progress.validation_r for progress in self.history]
        if r > max(before, default=-1.0):
            self.best = encoder.cpu()
        training_loss = float(np.mean(losses.double().cpu().numpy()))
        self.history.append(EpochProgress(epoch, training_loss, r))
        return self.history[-1]

    def get_weights(self) -> EncoderWeights:
        """Return a copy of the weights as they are now, on the CPU."""
        tensors = self._encoder.state_dict().items()
        copies = {name: tensor.detach().cpu().clone() for name, tensor in tensors}
        return EncoderWeights(torch.from_numpy(self._encoder.centers), copies)

    def save_state(self) -> None:
        """Write all that `_restore_state` needs, as tensors and plain values."""
        if self._job.state_path is None or not self._context.is_main:
            return
        parts = self._stateful_parts()
        state = {
            "centers": torch.from_numpy(self._encoder.centers),
            "history": [astuple(progress) for progress in self.history],
            **{name: part.state_dict() for name, part in parts.items()},
        }
        training_state.save_training_state(
            self._job.state_path, state, self._description
        )

    def _restore_state(self, stored: dict[str, Any]) -> None:
        self.history = [EpochProgress(*values) for values in stored["history"]]
        for name, part in self._stateful_parts().items():
            part.load_state_dict(stored[name])

    def _stateful_parts(self) -> dict[str, Any]:
        return {
            "encoder": self._encoder,
            "averaged": self._averaged,
            "optimizer": self._optimizer,
            "schedule": self._schedule,
            "best": self.best,
        }

    def _evaluated_encoder(self) -> TrainableEncoder:
        averaged = cast("TrainableEncoder", self._averaged.module)
        return averaged if self._job.recipe.ema_decay else self._encoder

    def _make_batch(self, start: int, rng: np.random.Generator) -> EncoderData:
        batch = self._load_frames(start)
        windows = self._window_and_basis
        if rng.random() >= self._job.recipe.cutmix_fraction or windows is None:
            return batch
        other = self._load_frames(int(rng.choice(self._starts)))
        return apply_cutmix(batch, other, windows, rng, self._job.space.shape)

    def _load_frames(self, start: int) -> EncoderData:
        batch = self._job.training.slice_frames(start, start + self._n_frames)
        return batch.to(self._context.device)

    def _take_step(self, batch: EncoderData) -> Tensor:
        loss = self._gradient.compute(batch)
        self._optimizer.step()
        self._schedule.step()
        self._averaged.update_parameters(self._encoder)
        return loss

    def _compute_loss(self, data: EncoderData) -> tuple[Tensor, Tensor]:
        with self._context.autocast():
            expected = self._encoder(data)
        loss = compute_poisson_loss(expected.float(), data, self._weight)
        penalty = self._encoder.filter_parameters.penalty()
        return loss, loss + self._job.recipe.filter_penalty * penalty


def _make_encoder(job: FitJob, stored: dict[str, Any] | None) -> TrainableEncoder:
    """Return the encoder to train; the weights of a stored one are restored later."""
    if stored is not None:
        return make_uninitialized(
            stored["centers"].numpy(), job.core, job.context, job.space
        )
    if job.initial is None:
        return initialize_encoder(job.training, job.core, job.context, job.space)
    centers = job.initial.centers.numpy()
    encoder = make_uninitialized(centers, job.core, job.context, job.space)
    encoder.load_state_dict(job.initial.tensors)
    return encoder


def _require_finite(epoch: int, losses: Tensor, encoder: CompactEncoder) -> None:
    """Raise UserError unless the losses of an epoch and all weights are finite.

    Checked once per epoch, after the losses of all processes are summed: so that every
    process stops at the same point, and a GPU is not waited for after each batch.
    """
    is_bad = ~losses.isfinite()
    if is_bad.any():
        batch = int(is_bad.nonzero()[0, 0]) + 1
        raise UserError(
            f"the loss of batch {batch} in epoch {epoch} is "
            f"{float(losses[batch - 1])}; check the activity for extreme values, or "
            "train with another --precision"
        )
    for name, weights in encoder.state_dict().items():
        if not weights.isfinite().all():
            raise UserError(
                f"'{name}' of the encoder is not finite after epoch {epoch}; check the "
                "activity for extreme values, or train with another --precision"
            )


def _load_state(job: FitJob, description: dict[str, Any]) -> dict[str, Any] | None:
    if job.state_path is None:
        return None
    return training_state.load_training_state(job.state_path, description)


def _describe_job(job: FitJob) -> dict[str, Any]:
    """Return recipe, data and core as plain values, to recognize an interrupted run."""
    core = [job.core.bank] if job.core else []
    data = job.training
    return {
        **asdict(job.recipe),
        "neurons": data.activity.shape[1],
        "frames": len(data),
        "data": _compute_checksum(data.coef, data.behavior, data.activity),
        "core": _compute_checksum(*core),
    }


def _compute_checksum(*tensors: Tensor) -> int:
    checksum = 0
    for tensor in tensors:
        checksum = zlib.crc32(tensor.contiguous().numpy().data, checksum)
    return checksum
