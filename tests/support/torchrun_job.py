"""A program for torchrun: trains together, stops, goes on, and ends in trouble.

Writes what came of it into the folder that it is given.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch

from rtrecon.core.errors import UserError
from rtrecon.training.compact.fit import Job, Progress, Recipe, train
from rtrecon.training.distributed import ALONE, Place, join
from tests.support.fit_world import world

# Averaged and mixed: all that a process has to remember.
RECIPE = Recipe(epochs=2, batch_frames=300, average=0.5, cutmix=0.5)
STOP_AFTER = 1
TROUBLE = "the second process has had enough"


class Stopped(Exception):
    """Training was stopped in the middle."""


def job(state: Path | None = None, place: Place = ALONE) -> Job:
    torch.set_num_threads(1)
    data = world(800, seed=0)
    training, validation = data.part(0, 600), data.part(600, 800)
    return Job(training, validation, RECIPE, state=state, place=place)


def stop(progress: Progress) -> None:
    if progress.epoch == STOP_AFTER:
        raise Stopped


def main(folder: Path) -> None:
    with join("cpu", "auto") as place:
        mine = job(folder / "e.unfinished", place)
        try:
            train(mine, stop)
        except Stopped:
            place.wait()  # until the state is written
        fitted = train(mine, lambda _: None)
        if place.leads:
            told = [dataclasses.astuple(progress) for progress in fitted.history]
            torch.save([told, fitted.model.state_dict()], folder / "together.pt")
        place.wait()
        if not place.leads:
            raise UserError(TROUBLE)
        place.sum([torch.zeros(1)])  # which the other does not live to see


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except UserError as error:
        sys.exit(str(error))
