"""From training data to a checkpoint: fit, calibrate, save and report."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrecon.core.errors import UserError
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.version import __version__
from rtrecon.encoder.card import Card, prepare_output_path, read_card
from rtrecon.encoder.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rtrecon.encoder.prior import fit_prior
from rtrecon.inversion.device import limit_threads
from rtrecon.stimulus_space.space import StimulusSpace
from rtrecon.stimulus_space.video import IMAGE_SHAPE, describe_size
from rtrecon.training.calibration import calibrate_decoder, calibrate_inversion
from rtrecon.training.compact import fit
from rtrecon.training.compact.core import extract_core
from rtrecon.training.decoder_fit import fit_activity_decoder
from rtrecon.training.distributed import SINGLE_PROCESS, DistributedContext
from rtrecon.training.encoder_form import (
    EncoderForm,
    FittedEncoder,
    choose_better,
    fit_compact,
    fit_convolutional,
)
from rtrecon.training.report import TrainingScores, write_report
from rtrecon.training.score import average_correlation, compute_correlation
from rtrecon.training.spread_calibration import calibrate_spread
from rtrecon.training.training_data import TrainingData


@dataclass(frozen=True)
class TrainingOptions:
    """How training starts and where it runs.

    resume: continue an interrupted run. core_checkpoint: a checkpoint of other neurons
    whose filters and prior are taken over unchanged; the rest needs only minutes of
    data, and the form is compact. context: device and processes; every process trains,
    only rank 0 writes. ignore_lag: train even if no neuron of a recorded session
    follows its stimulus. encoder_form: 'auto' fits both forms and saves the one that
    predicts the validation frames better.
    """

    resume: bool = False
    core_checkpoint: Path | None = None
    context: DistributedContext = SINGLE_PROCESS
    ignore_lag: bool = False
    encoder_form: EncoderForm = "compact"


DEFAULT_OPTIONS = TrainingOptions()


def train_encoder(
    data: TrainingData,
    recipe: fit.TrainingRecipe,
    path: Path,
    on_progress: ProgressCallback,
    options: TrainingOptions,
) -> Checkpoint:
    """Fit, calibrate and save an encoder at `path`, with a report beside it.

    After every epoch the training state is written beside it, too; it is deleted when
    all is done. Raises UserError if the loss or a weight is not finite.
    """
    require_form_of_space(data.space, options)
    core_path = options.core_checkpoint
    known = load_checkpoint(core_path) if core_path else None
    reporter = _ProgressReporter(on_progress, recipe.epochs)
    job = fit.FitJob(
        training=data.training,
        validation=data.validation,
        recipe=recipe,
        core=extract_core(known.require_compact()) if known else None,
        state_path=training_state_path(path),
        context=options.context,
        notify=reporter.add_notice,
        space=data.space,
    )
    for notice in data.notices:
        reporter.add_notice(notice)
    fitted = _fit_encoder(job, reporter, options)
    if fitted is None or not options.context.is_main:
        options.context.barrier()
        return load_checkpoint(path)
    # The fitted encoder is on the CPU, where calibration inverts.
    prior = known.prior if known else fit_prior(data.prior_clips, data.clip_frames)
    with limit_threads(fitted.encoder):
        calibration = calibrate_inversion(fitted.encoder, prior, data, on_progress)
        on_progress("calibrating the decoder", 0.0, "fitting it")
        decoder = fit_activity_decoder(data, prior)
    r = compute_correlation(fitted.encoder, data.validation)
    scores = TrainingScores(fitted.history, r, data.ceiling, tuple(reporter.notices))
    card = Card(
        path=path,
        rois=data.neurons.rois,
        mean_image=data.neurons.mean_image,
        metadata=_make_metadata(data, scores, options)
        | {"validation_r_by_form": fitted.validation_r},
        space=data.space,
    )
    checkpoint = Checkpoint(card, fitted.encoder, prior, calibration)
    with limit_threads(fitted.encoder):
        checkpoint = calibrate_decoder(checkpoint, decoder, data, on_progress)
        checkpoint = calibrate_spread(checkpoint, data, on_progress)
    save_checkpoint(checkpoint)
    write_report(path, scores)
    training_state_path(path).unlink(missing_ok=True)
    options.context.barrier()
    return checkpoint


def require_form_of_space(space: StimulusSpace, options: TrainingOptions) -> None:
    """Require filters of the neurons' own, unless the stimulus is a picture.

    Features and cores are of pictures of 36 x 64 px; others get filters of their own,
    too.
    """
    is_compact = options.encoder_form == "compact" and not options.core_checkpoint
    if not space.is_picture and not is_compact:
        raise UserError(
            f"the encoder of {space.name} is a compact one with filters of its own; "
            "leave out --freeze-core, and --encoder-form or give compact"
        )
    if space.shape != IMAGE_SHAPE and space.is_picture and not is_compact:
        raise UserError(
            f"the session's movie has {describe_size(space.shape)} px, but "
            "convolutional encoders and cores of other neurons are for "
            f"{describe_size(IMAGE_SHAPE)} px; leave out --freeze-core, and "
            "--encoder-form or give compact"
        )
    if options.core_checkpoint:
        _require_same_rate(space, options.core_checkpoint)


def _require_same_rate(space: StimulusSpace, core: Path) -> None:
    """Require that the core's filters are of the same size and time base."""
    other = read_card(core).space
    if (other.shape, other.rate_hz) != (space.shape, space.rate_hz):
        raise UserError(
            f"{core} was trained on movies of {describe_size(other.shape)} px at "
            f"{other.rate_hz:g} Hz, and the session's movie has "
            f"{describe_size(space.shape)} px at {space.rate_hz:g} Hz; leave out "
            "--freeze-core"
        )


def validate_training(
    path: Path, recipe: fit.TrainingRecipe, options: TrainingOptions
) -> None:
    """Raise UserError now, not after an hour, if training cannot succeed."""
    if recipe.epochs < 1:
        raise UserError(f"epochs = {recipe.epochs} trains nothing; give 1 or more")
    if recipe.patience < 1:
        raise UserError(
            f"patience = {recipe.patience} ends training before it starts; give 1 or "
            "more"
        )
    fractions = {"average": recipe.ema_decay, "cutmix": recipe.cutmix_fraction}
    for name, value in fractions.items():
        if not 0 <= value <= 1:
            raise UserError(f"{name} = {value}; give 0 to 1")
    prepare_output_path(path)
    state_path = training_state_path(path)
    if state_path.exists() and not options.resume:
        raise UserError(
            f"{state_path} holds an interrupted training; continue it with --resume, "
            "or delete it"
        )
    if options.core_checkpoint and options.encoder_form == "convolutional":
        raise UserError(
            "a core can be taken over by a compact encoder only; leave out "
            "--freeze-core, or --encoder-form convolutional"
        )
    if options.core_checkpoint:
        load_checkpoint(options.core_checkpoint).require_compact()


def training_state_path(path: Path) -> Path:
    """Return the path of the training state beside a checkpoint."""
    return path.with_suffix(".training_state")


class _ProgressReporter:
    """Reports progress of fitting and collects the notices for the checkpoint."""

    def __init__(self, on_progress: ProgressCallback, epochs: int) -> None:
        self.notices: list[str] = []
        self._on_progress, self._epochs, self._fraction = on_progress, epochs, 0.0

    def add_notice(self, text: str) -> None:
        self.notices.append(text)
        self.report(text)

    def report_fit(self, share: float, text: str) -> None:
        """Report progress of fitting a convolutional encoder."""
        self._on_progress("fitting readouts", share, text)

    def report_epoch(self, progress: fit.EpochProgress) -> None:
        self._fraction = progress.epoch / self._epochs
        r = progress.validation_r
        self.report(f"loss {progress.training_loss:.1f}, validation r {r:.3f}")

    def report_early_end(self, text: str) -> None:
        self._fraction = 1.0
        self.report(text)

    def report(self, text: str) -> None:
        self._on_progress("fitting", self._fraction, text)


def _fit_encoder(
    job: fit.FitJob, reporter: _ProgressReporter, options: TrainingOptions
) -> FittedEncoder | None:
    """Fit the form that is asked for; 'auto': both, and return the better one.

    With several processes, all take part in training a compact encoder; the main one
    alone fits a convolutional one and chooses, so that others may have none.
    """
    form = "compact" if job.core else options.encoder_form
    convolutional = None
    if form != "compact" and options.context.is_main:
        convolutional = fit_convolutional(job, reporter.report_fit)
    if form == "convolutional":
        return convolutional
    compact = _fit_compact(job, reporter)
    if convolutional is None:
        return compact
    chosen = choose_better(convolutional, compact)
    reporter.add_notice(chosen.describe_choice())
    return chosen


def _fit_compact(job: fit.FitJob, reporter: _ProgressReporter) -> FittedEncoder:
    is_resumed = job.state_path is not None and job.state_path.exists()
    reporter.report("resuming" if is_resumed else "looking for receptive fields")
    fitted = fit_compact(job, reporter.report_epoch)
    if len(fitted.history) < job.recipe.epochs:
        patience = job.recipe.patience
        reporter.report_early_end(f"stopped: no improvement in {patience} epochs")
    return fitted


def _make_metadata(
    data: TrainingData, scores: TrainingScores, options: TrainingOptions
) -> dict[str, Any]:
    core = options.core_checkpoint
    return {
        "version": __version__,
        "command": " ".join(["rtrecon", *sys.argv[1:]]),
        "hardware": str(options.context),
        "validation_r": round(average_correlation(scores.r), 4),
        "fraction_of_ceiling": scores.fraction_of_ceiling,
        "n_training_frames": len(data.training),
        **data.metadata,
        **({"core_checkpoint": str(core)} if core else {}),
        "notices": list(scores.notices),
    }
