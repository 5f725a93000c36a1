"""Calibration of the live inversion: tried out on validation clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from rtrecon.core.progress import ProgressCallback
from rtrecon.core.types import Array
from rtrecon.encoder.activity_decoder import ActivityDecoder
from rtrecon.encoder.base import LiveEncoder
from rtrecon.encoder.checkpoint import Calibration, Checkpoint
from rtrecon.encoder.compact import MEMORY_FRAMES
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.prior import Prior
from rtrecon.encoder.sensitivity import WeightedEncoder, estimate_sensitivity
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.live.prior_precision import accumulate_power
from rtrecon.inversion.objective import InverseProblem
from rtrecon.metrics.running_correlation import RunningVideoCorrelation
from rtrecon.metrics.similarity import video_correlation
from rtrecon.metrics.visual_field import select_visual_field
from rtrecon.training.compact.encoder_data import EncoderData
from rtrecon.training.decoder_fit import choose_missing_neurons, decode_movie
from rtrecon.training.score import estimate_dispersion
from rtrecon.training.training_data import TrainingData

DATA_WEIGHTS = (0.125, 0.25, 0.5, 1.0)
# About the decoder's estimate: the same activity has spoken there already.
DECODER_DATA_WEIGHTS = (0.06, 0.125, 0.25, 0.5)
_MAX_S = 30.0  # of the validation clips
_MIN_VARIANCE = 1e-6  # squared levels; a value that never changed has none
_STEPS_PER_HOP = 6  # about what a live inversion has time for


def calibrate_inversion(
    encoder: LiveEncoder,
    prior: Prior,
    data: TrainingData,
    on_progress: ProgressCallback,
) -> Calibration:
    """Invert the validation clips with each data weight and keep the best.

    The best has the highest correlation of reconstructed with shown pixels where the
    neurons look, frames of all ages together. Of the whole screen, most pixels are the
    prior's where the field of view is small, and a weight that hardly uses the activity
    would seem the best.
    """
    variance_per_mean = estimate_dispersion(encoder, data.validation)
    problem = InverseProblem(encoder, prior, 1 / variance_per_mean, space=data.space)
    report = partial(on_progress, "calibrating")
    best = _try_data_weights(problem, data, DATA_WEIGHTS, report)
    return Calibration(
        dispersion=variance_per_mean,
        behavior_mean=data.behavior_mean,
        behavior_sd=data.behavior_sd,
        identifiability=torch.from_numpy(best.explained_variance()),
        innovation_power=best.innovation_power,
        data_weight=best.data_weight,
    )


def calibrate_decoder(
    checkpoint: Checkpoint,
    decoder: ActivityDecoder,
    data: TrainingData,
    on_progress: ProgressCallback,
) -> Checkpoint:
    """Return the checkpoint with a decoder, calibrated for inversions about it.

    A random tenth of the neurons is held out, as in a session. The metadata say how
    well the decoder alone and the inversions about it and without it find the movie of
    the validation clips.
    """
    plain, best = _invert_without_and_with(checkpoint, decoder, data, on_progress)
    calibrated = replace(
        decoder,
        innovation_power=best.innovation_power,
        data_weight=best.data_weight,
        gain=best.live_r - plain.live_r,
    )
    pixel_r = {
        "decoder": round(_score_decoder(decoder, data, best.visual_field), 4),
        "inversion": round(best.r, 4),
        "inversion_without_decoder": round(plain.r, 4),
    }
    calibration = checkpoint.calibration
    if calibrated.is_helpful:
        identifiability = torch.from_numpy(best.explained_variance())
        calibration = replace(calibration, identifiability=identifiability)
    metadata = {**checkpoint.card.metadata, "validation_pixel_r": pixel_r}
    card = replace(checkpoint.card, metadata=metadata)
    return replace(checkpoint, card=card, calibration=calibration, decoder=calibrated)


def _invert_without_and_with(
    checkpoint: Checkpoint,
    decoder: ActivityDecoder,
    data: TrainingData,
    on_progress: ProgressCallback,
) -> tuple[InversionResult, InversionResult]:
    """Return the results without the decoder and, with the best data weight, about it.

    Both without the held-out neurons.
    """
    calibration = checkpoint.calibration
    is_used = ~choose_missing_neurons(len(calibration.dispersion))
    problem = InverseProblem(
        checkpoint.encoder,
        checkpoint.prior,
        is_used / calibration.dispersion,
        space=data.space,
    )
    n_inversions = len(DECODER_DATA_WEIGHTS) + 1

    def report(n_done: int, n_inverted: int, share: float, text: str) -> None:
        share = (n_done + n_inverted * share) / n_inversions
        on_progress("calibrating the decoder", share, text)

    plain = _try_data_weights(
        problem, data, (calibration.data_weight,), partial(report, 0, 1)
    )
    best = _try_data_weights(
        replace(problem, decoder=decoder),
        data,
        DECODER_DATA_WEIGHTS,
        partial(report, 1, len(DECODER_DATA_WEIGHTS)),
    )
    return plain, best


def _score_decoder(
    decoder: ActivityDecoder, data: TrainingData, visual_field: Array
) -> float:
    """Return pixel r of the decoder's estimate alone, of the frames that count."""
    clips = _take_clips(data)
    n_frames = len(clips) - data.space.window_frames
    frames, basis = slice(MEMORY_FRAMES, n_frames), make_dct_basis(data.space)
    decoded, shown = decode_movie(decoder, clips)[frames], clips.coef[frames]
    movies = basis.to_pixels(decoded), basis.to_pixels(shown)
    return video_correlation(*movies, visual_field)


def _try_data_weights(
    problem: InverseProblem,
    data: TrainingData,
    data_weights: Sequence[float],
    report: Callable[[float, str], None],
) -> InversionResult:
    """Return the best result; problem: with the data weight 1."""
    clips, visual_field = _take_clips(data), _find_visual_field(problem)
    results: list[InversionResult] = []
    for count, data_weight in enumerate(data_weights):
        weighted = replace(problem, weight=data_weight * problem.weight)
        parts = count, len(data_weights), f"data weight {data_weight}"
        report_share = partial(_report_share, report, parts)
        result = invert_clips(weighted, clips, visual_field, report_share)
        results.append(replace(result, data_weight=data_weight))
        report_share(1.0, f": pixel r {result.live_r:.3f}")
    return max(results, key=lambda result: result.live_r)


def _take_clips(data: TrainingData) -> EncoderData:
    return data.validation.slice_frames(0, round(_MAX_S * data.space.rate_hz))


def _find_visual_field(problem: InverseProblem) -> Array:
    weighted = WeightedEncoder(
        problem.encoder, problem.prior, problem.weight, problem.space
    )
    return select_visual_field(estimate_sensitivity(weighted))


@dataclass(frozen=True)
class InversionResult:
    """Outcome of one inversion.

    stimulus, reconstruction: (T, height, width), the final movie. visual_field: bool
    (height, width), the pixels that are compared. live_r: pixel correlation of all
    movies that were shown live, frames of all ages together. innovation_power:
    (n_coef,) mean square of the innovations found. data_weight: that it was found with.
    """

    stimulus: Array
    reconstruction: Array
    visual_field: Array
    live_r: float
    innovation_power: Tensor
    data_weight: float = 1.0

    @property
    def r(self) -> float:
        """Correlation of reconstructed and shown pixels of all frames."""
        return video_correlation(self.reconstruction, self.stimulus, self.visual_field)

    def explained_variance(self) -> Array:
        """Return (height, width) 0..1: share of each pixel's variance recovered."""
        residual = ((self.stimulus - self.reconstruction) ** 2).mean(0)
        explained = 1 - residual / np.maximum(self.stimulus.var(0), _MIN_VARIANCE)
        return np.clip(explained, 0, 1).astype(np.float32)


def invert_clips(
    problem: InverseProblem,
    data: EncoderData,
    visual_field: Array,
    report_share: Callable[[float], None],
) -> InversionResult:
    """Invert as the live process does, with a fixed number of steps per hop.

    visual_field: bool (height, width), the pixels to compare with the stimulus.
    report_share: called with the share of the frames that are done, 0 to 1.
    """
    window, hop = problem.space.window_frames, problem.space.hop_frames
    inverter = MapInversion(problem, window)
    final_frames, powers = list[Tensor](), list[Tensor]()
    basis = make_dct_basis(problem.space)
    live_correlation = RunningVideoCorrelation(window * len(data) // hop)
    for start in range(0, len(data) - hop + 1, hop):
        part = data.slice_frames(start, start + hop)
        final_frames.append(inverter.push_activity(part.activity, part.behavior))
        for step in range(_STEPS_PER_HOP):
            inverter.step(step / (_STEPS_PER_HOP - 1))
        frames, squares = accumulate_power(inverter.z, inverter.information_fraction())
        powers.append((squares / frames.clamp_min(1.0)).cpu())
        if start >= window + MEMORY_FRAMES:
            shown = data.coef[start + hop - window : start + hop]
            movies = inverter.movie(), basis.to_pixels(shown)
            live_correlation.add_frames(*(movie[:, visual_field] for movie in movies))
        report_share(start / len(data))
    reconstruction = basis.to_pixels(torch.cat(final_frames)[window + MEMORY_FRAMES :])
    shown = data.coef[MEMORY_FRAMES : MEMORY_FRAMES + len(reconstruction)]
    innovation_power = torch.stack(powers)[window // hop :].mean(0)
    live_r = live_correlation.correlation()
    stimulus = basis.to_pixels(shown)
    return InversionResult(
        stimulus, reconstruction, visual_field, live_r, innovation_power
    )


def _report_share(
    report: Callable[[float, str], None],
    parts: tuple[int, int, str],
    share: float,
    result: str = "",
) -> None:
    """Report a share of one part; parts: its number, how many, and its name."""
    count, n_parts, label = parts
    report((count + share) / n_parts, label + result)
