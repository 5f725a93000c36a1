"""One round of the calibration: train on, judge, and calibrate the inversion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrecon.calibration.calibration_state import CalibrationState
from rtrecon.calibration.clip_data import ClipData
from rtrecon.calibration.judging import (
    MovieScore,
    ResponseScore,
    judge_movie,
    judge_responses,
)
from rtrecon.core.progress import ProgressCallback
from rtrecon.core.version import __version__
from rtrecon.encoder.card import Card
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.compact import CompactEncoder
from rtrecon.encoder.prior import fit_prior
from rtrecon.inversion.device import limit_threads
from rtrecon.training.calibration import calibrate_decoder, calibrate_inversion
from rtrecon.training.compact.fit import (
    EpochProgress,
    FitJob,
    FitResult,
    TrainingRecipe,
    fit_encoder,
)
from rtrecon.training.decoder_fit import fit_activity_decoder
from rtrecon.training.distributed import DistributedContext
from rtrecon.training.spread_calibration import calibrate_spread

_FIRST_RECIPE = TrainingRecipe(epochs=6, batch_frames=300)
_LATER_RECIPE = TrainingRecipe(epochs=2, batch_frames=300, learning_rate=0.006)
_SEARCH_AGAIN = 1.5  # receptive fields are searched again with so many times the data
_MIN_RELATED_R = 0.03  # mean r; below, the activity does not follow the movie
_MIN_RESPONSIVE = 5


@dataclass(frozen=True)
class RoundOptions:
    """How a round runs: where, and what it calls with its progress."""

    context: DistributedContext
    on_progress: ProgressCallback


@dataclass(frozen=True)
class TrainedRound:
    """A trained encoder, on the CPU, with the scores of its responses."""

    encoder: CompactEncoder
    history: list[EpochProgress]
    state: CalibrationState
    responses: ResponseScore

    @property
    def is_related(self) -> bool:
        """Whether the activity follows the movie, so that inverting makes sense."""
        is_many = self.responses.n_responsive >= _MIN_RESPONSIVE
        return is_many and self.responses.mean_r >= _MIN_RELATED_R


def train_round(
    data: ClipData, state: CalibrationState | None, options: RoundOptions
) -> TrainedRound:
    """Train from the last weights on; search receptive fields anew now and then.

    The search is made again when the data have grown by half since, because the fields
    of weak neurons are found with more data only; the better of both is kept.
    """
    n_frames = len(data.training.training)
    fitted: FitResult | None = None
    n_searched = n_frames
    if state is not None:
        fitted = _fit(data, _LATER_RECIPE, state, options)
        n_searched = state.n_searched_frames
    if state is None or n_frames >= _SEARCH_AGAIN * state.n_searched_frames:
        searched = _fit(data, _FIRST_RECIPE, None, options)
        n_searched = n_frames
        if fitted is None or _best_r(searched) > _best_r(fitted):
            fitted = searched
    assert fitted is not None
    n_encoders = state.n_encoders if state else 0
    new_state = CalibrationState(fitted.weights, n_frames, n_searched, n_encoders)
    responses = judge_responses(fitted.encoder, data.judging)
    return TrainedRound(fitted.encoder, fitted.history, new_state, responses)


def make_checkpoint(
    trained: TrainedRound, data: ClipData, path: Path, options: RoundOptions
) -> tuple[Checkpoint, MovieScore]:
    """Calibrate the inversion of a trained encoder, and judge its movie.

    The first encoder of a session gets no decoder and no calibrated spread, so that
    the first movie is there sooner.
    """
    training, on_progress = data.training, options.on_progress
    prior = fit_prior(training.prior_clips, training.clip_frames)
    card = Card(
        path=path,
        rois=training.neurons.rois,
        mean_image=training.neurons.mean_image,
        metadata=_make_metadata(trained, data, options),
        space=training.space,
    )
    with limit_threads(trained.encoder):
        calibration = calibrate_inversion(trained.encoder, prior, training, on_progress)
        checkpoint = Checkpoint(card, trained.encoder, prior, calibration)
        if trained.state.n_encoders:
            on_progress("calibrating the decoder", 0.0, "fitting it")
            decoder = fit_activity_decoder(training, prior)
            checkpoint = calibrate_decoder(checkpoint, decoder, training, on_progress)
            checkpoint = calibrate_spread(checkpoint, training, on_progress)
        movie = judge_movie(
            checkpoint,
            data.judging,
            lambda share: on_progress("judging", share, "inverting clips kept out"),
        )
    return checkpoint, movie


def _fit(
    data: ClipData,
    recipe: TrainingRecipe,
    state: CalibrationState | None,
    options: RoundOptions,
) -> FitResult:
    training = data.training
    job = FitJob(
        training=training.training,
        validation=training.validation,
        recipe=recipe,
        initial=state.weights if state else None,
        context=options.context,
        space=training.space,
    )
    return fit_encoder(job, _report_epochs(options.on_progress, recipe.epochs))


def _report_epochs(
    on_progress: ProgressCallback, n_epochs: int
) -> Callable[[EpochProgress], None]:
    def report(progress: EpochProgress) -> None:
        text = f"validation r {progress.validation_r:.3f}"
        on_progress("training", progress.epoch / n_epochs, text)

    return report


def _best_r(fitted: FitResult) -> float:
    return max(progress.validation_r for progress in fitted.history)


def _make_metadata(
    trained: TrainedRound, data: ClipData, options: RoundOptions
) -> dict[str, Any]:
    return {
        "version": __version__,
        "command": "rtrecon run (calibration)",
        "hardware": str(options.context),
        "validation_r": round(trained.responses.mean_r, 4),
        "n_training_frames": len(data.training.training),
        **data.training.metadata,
        "notices": list(data.training.notices),
    }
