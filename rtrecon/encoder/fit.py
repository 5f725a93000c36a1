"""Training of the compact encoder: screen, then gradient descent end to end."""

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

from rtrecon.encoder import unfinished
from rtrecon.encoder.compact import MEMORY, Compact
from rtrecon.encoder.core import Core
from rtrecon.encoder.cutmix import cutmix
from rtrecon.encoder.data import Data
from rtrecon.encoder.patches import windows
from rtrecon.encoder.score import correlation, mean_r
from rtrecon.encoder.spectrum import spectrum
from rtrecon.encoder.trainee import Trainee, begin, blank


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
    """What to train on, and how.

    core: known from other neurons; its filters stay as they are. state: file that
    keeps training after every epoch; where it exists, training goes on from it.
    """

    training: Data
    validation: Data
    recipe: Recipe
    core: Core | None = None
    state: Path | None = None


@dataclass(frozen=True)
class Progress:
    """After an epoch: mean misfit in training, mean Pearson r in validation."""

    epoch: int
    misfit: float
    validation_r: float


@dataclass(frozen=True)
class Fitted:
    """The encoder of the epoch that predicts the validation clips best, and the way."""

    model: Compact
    history: list[Progress]


def train(job: Job, report: Callable[[Progress], None]) -> Fitted:
    """Train until the last epoch, or until patience ends; the seed decides all."""
    torch.manual_seed(job.recipe.seed)
    fitting = _Fitting(job)
    while not fitting.over:
        progress = fitting.epoch()
        fitting.keep()
        report(progress)
    return Fitted(fitting.best, fitting.history)


class _Fitting:
    """Training under way, and everything that its next epoch depends on."""

    def __init__(self, job: Job) -> None:
        self._job, recipe = job, job.recipe
        self._work = _work(job)
        kept = unfinished.load(job.state, self._work) if job.state else None
        self._trainee = (
            begin(job.training, job.core)
            if kept is None
            else blank(kept["centers"].numpy(), job.core)
        )
        self._windows = windows(self._trainee.centers)
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
        self._weight = 1 / (job.training.mean() + 1e-3)
        self.history: list[Progress] = []
        self.best = self._trainee.encoder()
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
        misfits = [
            self._step(self._batch(start, rng))
            for start in rng.permutation(self._starts)
        ]
        encoder = self._judged().encoder()
        r = mean_r(correlation(encoder, self._job.validation))
        before = [progress.validation_r for progress in self.history]
        if r > max(before, default=-1.0):
            self.best = encoder
        self.history.append(Progress(len(before) + 1, float(np.mean(misfits)), r))
        return self.history[-1]

    def _judged(self) -> Trainee:
        averaged = cast("Trainee", self._average.module)
        return averaged if self._job.recipe.average else self._trainee

    def keep(self) -> None:
        """Keep all that `_restore` needs, as tensors and plain values."""
        if self._job.state is None:
            return
        state = {
            "centers": torch.from_numpy(self._trainee.centers),
            "history": [astuple(progress) for progress in self.history],
            **{name: part.state_dict() for name, part in self._parts().items()},
        }
        unfinished.save(self._job.state, state, self._work)

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
        part = self._job.training.part(start, start + self._n_frames)
        if rng.random() >= self._job.recipe.cutmix:
            return part
        other = int(rng.choice(self._starts))
        pasted = self._job.training.part(other, other + self._n_frames)
        return cutmix(part, pasted, (self._windows, spectrum().basis), rng)

    def _step(self, data: Data) -> float:
        misfit = _misfit(self._trainee(data), data, self._weight)
        self._optimiser.zero_grad()
        decay = self._job.recipe.decay * self._trainee.spatial.energy()
        (misfit + decay).backward()
        self._optimiser.step()
        self._schedule.step()
        self._average.update_parameters(self._trainee)
        return float(misfit.detach())


def _misfit(expected: Tensor, data: Data, weight: Tensor) -> Tensor:
    """Poisson misfit summed over neurons, each weighted to count alike."""
    recorded = data.activity[MEMORY - 1 :]
    known = ~recorded.isnan()
    per_frame = (expected - recorded.nan_to_num() * expected.log()) * known
    return (per_frame.mean(0) * weight).sum()


def _work(job: Job) -> dict[str, Any]:
    """Return what unfinished training is told by: the recipe, the data, the core."""
    core = [job.core.bank] if job.core else []
    return {
        **asdict(job.recipe),
        "neurons": job.training.activity.shape[1],
        "frames": len(job.training),
        "data": _checksum(job.training.coef, job.training.activity),
        "core": _checksum(*core),
    }


def _checksum(*tensors: Tensor) -> int:
    checksum = 0
    for tensor in tensors:
        checksum = zlib.crc32(tensor.contiguous().numpy().data, checksum)
    return checksum
