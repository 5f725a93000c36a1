"""Training of the compact encoder: screen, then gradient descent end to end.

The data lie in main memory, whatever their size, and go to the device batch by batch:
copying one takes less time than learning from it, and overlaps with it.
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
from rtrecon.encoder.compact import Compact
from rtrecon.encoder.device_memory import say_nothing
from rtrecon.encoder.spectrum import spectrum
from rtrecon.training import training_state
from rtrecon.training.compact.core import Core
from rtrecon.training.compact.cutmix import cutmix
from rtrecon.training.compact.data import Data
from rtrecon.training.compact.gradient import Gradient, poisson_misfit
from rtrecon.training.compact.patches import windows
from rtrecon.training.compact.trainable_encoder import Trainee, begin, blank
from rtrecon.training.distributed import ALONE, Place
from rtrecon.training.score import correlation, mean_r


@dataclass(frozen=True)
class Recipe:
    """How to train. decay: penalty on filter energy, per batch.

    patience: epochs without a better validation after which training ends. average:
    share of itself that the moving average of the weights keeps per batch; 0 = the
    weights themselves are judged and kept. cutmix: share of batches that are mixed.
    """

    epochs: int = 20
    batch_frames: int = 1000
    rate: float = 0.012
    decay: float = 1e-4
    seed: int = 0
    patience: int = 5
    average: float = 0.0
    cutmix: float = 0.0


# For new neurons on a known core: minutes of data, and weights in place of pixels.
READOUTS = Recipe(epochs=12, batch_frames=300, decay=3e-3)


@dataclass(frozen=True)
class Job:
    """What to train on, how and where.

    core: known from other neurons; its filters stay as they are. state: file that
    keeps training after every epoch; where it exists, training goes on from it,
    wherever and by however many processes it was begun. say: told what somebody should
    know.
    """

    training: Data
    validation: Data
    recipe: Recipe
    core: Core | None = None
    state: Path | None = None
    place: Place = ALONE
    say: Callable[[str], None] = say_nothing


@dataclass(frozen=True)
class Progress:
    """After an epoch: mean misfit in training, mean Pearson r in validation."""

    epoch: int
    misfit: float
    validation_r: float


@dataclass(frozen=True)
class Fitted:
    """The encoder of the epoch that predicts the validation clips best, and the way.

    It is on the CPU, wherever it was trained.
    """

    model: Compact
    history: list[Progress]


def train(job: Job, report: Callable[[Progress], None]) -> Fitted:
    """Train until the last epoch, or until patience ends.

    The seed decides all; on another device, or among more processes, all but rounding.
    """
    torch.manual_seed(job.recipe.seed)
    try:
        fitting = _Fitting(job)
        while not fitting.over:
            progress = fitting.epoch()
            fitting.keep()
            report(progress)
    except torch.OutOfMemoryError:
        raise UserError(
            f"{job.place.device} has no memory for an encoder of "
            f"{job.training.activity.shape[1]} neurons; end what else uses it, or "
            "train with --device cpu"
        ) from None
    return Fitted(fitting.best, fitting.history)


class _Fitting:
    """Training under way, and everything that its next epoch depends on."""

    def __init__(self, job: Job) -> None:
        self._job, self._place, recipe = job, job.place, job.recipe
        self._work = _work(job)
        kept = training_state.load(job.state, self._work) if job.state else None
        self._trainee = (
            begin(job.training, job.core, job.place)
            if kept is None
            else blank(kept["centers"].numpy(), job.core, job.place)
        )
        looks = windows(self._trainee.centers), spectrum().basis
        self._looks = looks[0].to(job.place.device), looks[1].to(job.place.device)
        self._n_frames = min(recipe.batch_frames, len(job.training))
        self._starts = self._n_frames * np.arange(len(job.training) // self._n_frames)
        self._average = AveragedModel(
            self._trainee, multi_avg_fn=get_ema_multi_avg_fn(recipe.average)
        )
        self._optimiser = torch.optim.Adam(
            self._trainee.parameters(), lr=recipe.rate, betas=(0.9, 0.99)
        )
        self._schedule = OneCycleLR(
            self._optimiser,
            recipe.rate,
            recipe.epochs * len(self._starts),
            pct_start=0.1,
        )
        self._weight = (1 / (job.training.mean() + 1e-3)).to(job.place.device)
        self._gradient = Gradient(self._trainee, self._loss, job.place, job.say)
        self.history: list[Progress] = []
        self.best = self._trainee.encoder().cpu()
        if kept is not None:
            self._restore(kept)

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or none has been better for too long."""
        r = [progress.validation_r for progress in self.history]
        since_best = len(r) - 1 - int(np.argmax(r)) if r else 0
        recipe = self._job.recipe
        return len(r) >= recipe.epochs or since_best >= recipe.patience

    def epoch(self) -> Progress:
        """Go through the data once, and judge what came of it."""
        # Its own generator: an epoch is the same where training stopped before it.
        rng = np.random.default_rng([self._job.recipe.seed, len(self.history)])
        misfits = torch.stack(
            [
                self._step(self._batch(start, rng))
                for start in rng.permutation(self._starts)
            ]
        )
        self._place.sum([misfits])
        encoder = self._judged().encoder()
        r = self._place.told(lambda: mean_r(correlation(encoder, self._job.validation)))
        before = [progress.validation_r for progress in self.history]
        if r > max(before, default=-1.0):
            self.best = encoder.cpu()
        misfit = float(np.mean(misfits.double().cpu().numpy()))
        self.history.append(Progress(len(before) + 1, misfit, r))
        return self.history[-1]

    def _judged(self) -> Trainee:
        averaged = cast("Trainee", self._average.module)
        return averaged if self._job.recipe.average else self._trainee

    def keep(self) -> None:
        """Keep all that `_restore` needs, as tensors and plain values."""
        if self._job.state is None or not self._place.leads:
            return
        state = {
            "centers": torch.from_numpy(self._trainee.centers),
            "history": [astuple(progress) for progress in self.history],
            **{name: part.state_dict() for name, part in self._parts().items()},
        }
        training_state.save(self._job.state, state, self._work)

    def _restore(self, kept: dict[str, Any]) -> None:
        self.history = [Progress(*told) for told in kept["history"]]
        for name, part in self._parts().items():
            part.load_state_dict(kept[name])

    def _parts(self) -> dict[str, Any]:
        return {
            "trainee": self._trainee,
            "average": self._average,
            "optimiser": self._optimiser,
            "schedule": self._schedule,
            "best": self.best,
        }

    def _batch(self, start: int, rng: np.random.Generator) -> Data:
        part = self._frames(start)
        if rng.random() >= self._job.recipe.cutmix:
            return part
        other = int(rng.choice(self._starts))
        return cutmix(part, self._frames(other), self._looks, rng)

    def _frames(self, start: int) -> Data:
        part = self._job.training.part(start, start + self._n_frames)
        return part.to(self._place.device)

    def _step(self, data: Data) -> Tensor:
        misfit = self._gradient.of(data)
        self._optimiser.step()
        self._schedule.step()
        self._average.update_parameters(self._trainee)
        return misfit

    def _loss(self, data: Data) -> tuple[Tensor, Tensor]:
        with self._place.autocast():
            expected = self._trainee(data)
        misfit = poisson_misfit(expected.float(), data, self._weight)
        return misfit, misfit + self._job.recipe.decay * self._trainee.spatial.energy()


def _work(job: Job) -> dict[str, Any]:
    """Return what unfinished training is told by: the recipe, the data, the core."""
    core = [job.core.bank] if job.core else []
    data = job.training
    return {
        **asdict(job.recipe),
        "neurons": data.activity.shape[1],
        "frames": len(data),
        "data": _checksum(data.coef, data.behavior, data.activity),
        "core": _checksum(*core),
    }


def _checksum(*tensors: Tensor) -> int:
    checksum = 0
    for tensor in tensors:
        checksum = zlib.crc32(tensor.contiguous().numpy().data, checksum)
    return checksum
