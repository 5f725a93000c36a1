"""Compares variants of the live inversion on validation clips.

    python benchmarks/variants.py [--mice full|quick] [--cache FOLDER] [--clips N]

The mouse, its encoder and the cache are those of `inversion.py`. The clips are used for
neither training nor testing: movies, and noise and gratings (`unusual`, final frames).
Each row changes one parameter. Writes `benchmarks/results/variants.json`;
with the quick mouse or fewer clips, `variants.quick.json`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import simulated_mice
import torch
from result_files import describe_machine, write_results
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table
from simulated_mice import MouseData

from rtrecon.config import InversionSettings
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.prior import MAX_LAG_FRAMES, fit_prior
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.live_and_map import STEPS_PER_HOP, reconstruct_live
from rtrecon.inversion.offline.results import SKIPPED_FRAMES
from rtrecon.metrics.similarity import video_correlation

FULL_CLIPS = 8
LAGS_FRAMES = (3, 6, 12, 24)
DEFAULTS = InversionSettings()


@dataclass(frozen=True)
class ParameterTrial:
    """A variant: everything that differs from the default.

    data_weight_factor, prior_sd_factor: multiply the data's weight and the prior's s.d.
    span_frames: lags over which the prior's autocorrelation is fitted; 1 = neighbouring
    frames alone. adaptive: whether the prior's contrast adapts to the stimulus.
    """

    name: str
    steps: int = STEPS_PER_HOP
    data_weight_factor: float = 1.0
    span_frames: int = MAX_LAG_FRAMES
    prior_sd_factor: float = 1.0
    hop_frames: int = DEFAULTS.hop_frames
    window_frames: int = DEFAULTS.window_frames
    adaptive: bool = True


TRIALS = (
    ParameterTrial("default"),
    ParameterTrial("fixed prior", adaptive=False),
    *(
        ParameterTrial(f"prior fitted over {n} frames", span_frames=n)
        for n in (1, 6, 12, 48)
    ),
    *(ParameterTrial(f"{n} steps per hop", steps=n) for n in (4, 8, 26, 60)),
    *(
        ParameterTrial(f"data weight x {k:g}", data_weight_factor=k)
        for k in (0.25, 0.5, 2, 4)
    ),
    *(ParameterTrial(f"prior s.d. x {k:g}", prior_sd_factor=k) for k in (0.7, 1.4)),
    ParameterTrial("hops of 3 frames", steps=8, hop_frames=3, window_frames=36),
    ParameterTrial("hops of 10 frames", steps=26, hop_frames=10, window_frames=40),
    ParameterTrial("window of 20 frames", window_frames=20),
    ParameterTrial("window of 60 frames", window_frames=60),
)


def main() -> None:
    """Score all variants, print and write the table."""
    arguments = _parse_arguments()
    torch.set_num_threads(1)
    settings = simulated_mice.MOUSE_SETS[arguments.mice][0]
    with Progress() as progress:
        mouse = simulated_mice.prepare_mouse(
            replace(settings, n_models=1), arguments.cache, progress
        )
        clips, unusual = simulated_mice.prepare_tuning_clips(
            settings, arguments.cache, progress
        )
    clips, scores = clips[: arguments.clips], {}
    for trial in track(TRIALS, "variants"):
        encoder = _create_variant(mouse, trial)
        unusual_r = _score_variant(encoder, trial, unusual)["final"]
        scores[trial.name] = _score_variant(encoder, trial, clips) | {
            "unusual": unusual_r
        }
    _print_table(scores)
    figures = {"clips": len(clips), "r": scores, "machine": describe_machine()}
    is_full = arguments.mice != "quick" and arguments.clips >= FULL_CLIPS
    write_results("variants", figures, quick=not is_full)


def _create_variant(mouse: MouseData, trial: ParameterTrial) -> Checkpoint:
    """Return the encoder with the trial's prior, fitted to the training movies."""
    stimuli = [clip.stimulus for clip in mouse.training if clip.stimulus is not None]
    coef = make_dct_basis().from_pixels(np.concatenate(stimuli))
    prior = fit_prior(coef, simulated_mice.CLIP_FRAMES, trial.span_frames)
    prior = replace(prior, innovation_sd=prior.innovation_sd * trial.prior_sd_factor)
    return replace(mouse.encoders[0], prior=prior)


def _score_variant(
    encoder: Checkpoint, trial: ParameterTrial, clips: Sequence[Clip]
) -> dict[str, float]:
    """Return mean r over clips, by age of the frames."""
    settings = InversionSettings(
        data_weight=trial.data_weight_factor * encoder.calibration.data_weight,
        hop_frames=trial.hop_frames,
        window_frames=trial.window_frames,
        adaptive_prior=trial.adaptive,
    )
    lags = [lag for lag in LAGS_FRAMES if lag < trial.window_frames]
    r: dict[str, list[float]] = {}
    for clip in clips:
        replay = reconstruct_live(
            encoder, clip.target, trial.steps, settings, lags_frames=lags
        )
        movies = {f"lag{lag}": replay.movies[lag] for lag in lags} | {
            "final": replay.final
        }
        for name, movie in movies.items():
            r.setdefault(name, []).append(_score_movie(movie, clip))
    return {name: float(np.mean(values)) for name, values in r.items()}


def _score_movie(movie: np.ndarray, clip: Clip) -> float:
    """Return r over the reconstructed frames after the first second."""
    assert clip.stimulus is not None
    counted = np.isfinite(movie).all((1, 2))
    counted[:SKIPPED_FRAMES] = False
    return video_correlation(movie[counted], clip.stimulus[counted])


def _print_table(scores_by_trial: dict[str, dict[str, float]]) -> None:
    names = [*(f"lag{lag}" for lag in LAGS_FRAMES), "final", "unusual"]
    table = Table("variant", *names, box=None)
    for trial, scores in scores_by_trial.items():
        cells = [f"{scores[name]:.3f}" if name in scores else "" for name in names]
        table.add_row(trial, *cells)
    Console().print(table)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=simulated_mice.CACHE)
    parser.add_argument("--mice", choices=simulated_mice.MOUSE_SETS, default="full")
    parser.add_argument(
        "--clips", type=int, default=FULL_CLIPS, help="number of validation clips"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
