"""A program for torchrun: train, interrupt, resume, and fail in one process.

Writes the result into the folder of its first argument.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch

from rtrecon.core.errors import UserError
from rtrecon.training.compact.fit import (
    EpochProgress,
    FitJob,
    TrainingRecipe,
    fit_encoder,
)
from rtrecon.training.distributed import (
    SINGLE_PROCESS,
    DistributedContext,
    join_process_group,
)
from tests.support.fit_world import make_fit_data, use_small_gabor_bank

# With averaged weights and CutMix, all of the state between epochs is used.
RECIPE = TrainingRecipe(epochs=2, batch_frames=300, ema_decay=0.5, cutmix_fraction=0.5)
INTERRUPT_AFTER = 1
ERROR_TEXT = "the second process fails on purpose"


class Interrupted(Exception):
    """Training was interrupted."""


def make_job(
    state: Path | None = None, context: DistributedContext = SINGLE_PROCESS
) -> FitJob:
    torch.set_num_threads(1)
    data = make_fit_data(800, seed=0)
    training, validation = data.slice_frames(0, 600), data.slice_frames(600, 800)
    return FitJob(training, validation, RECIPE, state_path=state, context=context)


def interrupt_after_first_epoch(progress: EpochProgress) -> None:
    if progress.epoch == INTERRUPT_AFTER:
        raise Interrupted


def main(folder: Path) -> None:
    with use_small_gabor_bank(), join_process_group("cpu", "auto") as context:
        job = make_job(folder / "e.training_state", context)
        try:
            fit_encoder(job, interrupt_after_first_epoch)
        except Interrupted:
            context.barrier()  # until the state is written
        fitted = fit_encoder(job, lambda _: None)
        if context.is_main:
            history = [dataclasses.astuple(progress) for progress in fitted.history]
            torch.save([history, fitted.encoder.state_dict()], folder / "together.pt")
        context.barrier()
        if not context.is_main:
            raise UserError(ERROR_TEXT)
        context.all_reduce([torch.zeros(1)])  # the other process has failed by then


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(str(error))
