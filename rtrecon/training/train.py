"""From material to a checkpoint: fit, calibrate, save, and tell how it went."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rtrecon
from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.encoder.card import FORMAT, Card, make_room
from rtrecon.encoder.checkpoint import Checkpoint, load, save
from rtrecon.encoder.prior import fit_prior
from rtrecon.training.calibration import Report, calibrate
from rtrecon.training.compact import fit
from rtrecon.training.compact.core import core_of
from rtrecon.training.distributed import ALONE, Place
from rtrecon.training.report import Scores, write_report
from rtrecon.training.score import correlation, mean_r
from rtrecon.training.training_data import Material


@dataclass(frozen=True)
class Start:
    """Where training starts: from nothing, from training that was not over, or a core.

    core: a checkpoint of other neurons, whose filters and prior are taken over as they
    are; what is left to fit needs minutes of data. place: the device, and the processes
    that train together; every one of them does all this, but the leader alone writes.
    """

    resume: bool = False
    core: Path | None = None
    place: Place = ALONE


FROM_NOTHING = Start()


def train_material(
    material: Material, recipe: fit.Recipe, path: Path, report: Report, start: Start
) -> Checkpoint:
    """Fit, calibrate and save an encoder at `path`, with a report beside it.

    After every epoch the state of training is kept beside it, too, until all is done.
    """
    known = load(start.core) if start.core else None
    teller = _Teller(report, recipe.epochs)
    job = fit.Job(
        training=material.training,
        validation=material.validation,
        recipe=recipe,
        core=core_of(known.compact()) if known else None,
        state=state_file(path),
        place=start.place,
        say=teller.note,
    )
    for note in material.notes:
        teller.note(note)
    fitted = _fit(job, teller)
    if not start.place.leads:
        start.place.wait()
        return load(path)
    # From here on the inversion is tried, and that is for the CPU.
    prior = known.prior if known else fit_prior(material.clips, material.clip_frames)
    calibration = calibrate(fitted.model, prior, material, report)
    r = correlation(fitted.model, material.validation)
    card = Card(
        path=path,
        rois=material.neurons.rois,
        mean_image=material.neurons.mean_image,
        meta=_meta(material, r, start) | {"notes": teller.notes},
    )
    checkpoint = Checkpoint(card, fitted.model, prior, calibration)
    save(checkpoint)
    write_report(path, Scores(fitted.history, r, material.ceiling, tuple(teller.notes)))
    state_file(path).unlink(missing_ok=True)
    start.place.wait()
    return checkpoint


def prepare(path: Path, recipe: fit.Recipe, start: Start) -> None:
    """Refuse at once, not after an hour, what training would come to grief over."""
    if recipe.epochs < 1:
        raise UserError(f"epochs = {recipe.epochs} trains nothing; give 1 or more")
    if recipe.patience < 1:
        raise UserError(
            f"patience = {recipe.patience} ends training before it starts; give 1 or "
            "more"
        )
    for name in ("average", "cutmix"):
        if not 0 <= getattr(recipe, name) <= 1:
            raise UserError(f"{name} = {getattr(recipe, name)}; give 0 to 1")
    make_room(path)
    left = state_file(path)
    if left.exists() and not start.resume:
        raise UserError(
            f"{left} holds a training that was not over; go on with it (--resume), or "
            "delete it"
        )
    if start.core:
        load(start.core).compact()


def state_file(path: Path) -> Path:
    """Return where training towards a checkpoint is kept while it is not over."""
    return path.with_suffix(".unfinished")


class _Teller:
    """Tells how fitting goes; remembers how far it is, and what was worth a note."""

    def __init__(self, report: Report, epochs: int) -> None:
        self.notes: list[str] = []
        self._report, self._epochs, self._share = report, epochs, 0.0

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)
        self.say(sentence)

    def epoch(self, progress: fit.Progress) -> None:
        self._share = progress.epoch / self._epochs
        r = progress.validation_r
        self.say(f"misfit {progress.misfit:.1f}, validation r {r:.3f}")

    def over(self, sentence: str) -> None:
        self._share = 1.0
        self.say(sentence)

    def say(self, sentence: str) -> None:
        self._report("fitting", self._share, sentence)


def _fit(job: fit.Job, teller: _Teller) -> fit.Fitted:
    resumed = job.state is not None and job.state.exists()
    teller.say("going on" if resumed else "looking for receptive fields")
    fitted = fit.train(job, teller.epoch)
    if len(fitted.history) < job.recipe.epochs:
        teller.over(f"no better since {job.recipe.patience} epochs: over")
    return fitted


def _meta(material: Material, r: Array, start: Start) -> dict[str, Any]:
    core = {"core": str(start.core)} if start.core else {}
    return {
        "format": FORMAT,
        "version": rtrecon.__version__,
        "command": " ".join(["rtrecon", *sys.argv[1:]]),
        "trained_on": str(start.place),
        "validation_r": round(mean_r(r), 4),
        "training_frames": len(material.training),
        **material.meta,
        **core,
    }
