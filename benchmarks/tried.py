"""Compares variants of the live inversion on validation clips.

    python benchmarks/tried.py [--plan whole|quick] [--cache FOLDER] [--clips N]

The mouse, its encoder and the cache are those of `inversion.py`. The clips are used for
neither training nor testing: movies, and noise and gratings (`unusual`, final frames).
Each row changes one parameter. Writes `benchmarks/results/tried.json`, or
`tried.quick.json` with the plan quick.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mice
import numpy as np
import torch
from loop import machine
from mice import Subject
from result_files import write_results
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from rtrecon.config import InversionSettings
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.dct_basis import make_dct_basis
from rtrecon.encoder.prior import MAX_LAG_FRAMES, fit_prior
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.live_and_map import STEPS_PER_HOP, reconstruct_live
from rtrecon.inversion.offline.results import SKIPPED_FRAMES
from rtrecon.metrics.similarity import video_correlation

LAGS_FRAMES = (3, 6, 12, 24)
USED = InversionSettings()


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
    hop_frames: int = USED.hop_frames
    window_frames: int = USED.window_frames
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
    plan = mice.PLANS[arguments.plan][0]
    with Progress() as progress:
        subject = mice.prepare(replace(plan, n_models=1), arguments.cache, progress)
        clips, unusual = mice.tuning_clips(plan, arguments.cache, progress)
    clips, found = clips[: arguments.clips], {}
    for trial in track(TRIALS, "trying"):
        encoder = _create_variant(subject, trial)
        of_unusual = _score_variant(encoder, trial, unusual)["final"]
        found[trial.name] = _score_variant(encoder, trial, clips) | {
            "unusual": of_unusual
        }
    _print_table(found)
    figures = {"clips": len(clips), "r": found, "machine": machine()}
    write_results("tried", figures, quick=arguments.plan == "quick")


def _create_variant(subject: Subject, trial: ParameterTrial) -> Checkpoint:
    """Return the encoder with the trial's prior, fitted to the training movies."""
    shown = [clip.stimulus for clip in subject.training if clip.stimulus is not None]
    coef = make_dct_basis().from_pixels(np.concatenate(shown))
    prior = fit_prior(coef, mice.CLIP_FRAMES, trial.span_frames)
    prior = replace(prior, innovation_sd=prior.innovation_sd * trial.prior_sd_factor)
    return replace(subject.encoders[0], prior=prior)


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
        made = reconstruct_live(
            encoder, clip.target, trial.steps, settings, lags_frames=lags
        )
        movies = {f"lag{lag}": made.movies[lag] for lag in lags} | {"final": made.final}
        for name, movie in movies.items():
            r.setdefault(name, []).append(_score_movie(movie, clip))
    return {name: float(np.mean(values)) for name, values in r.items()}


def _score_movie(movie: np.ndarray, clip: Clip) -> float:
    """Return r over the reconstructed frames after the first second."""
    assert clip.stimulus is not None
    counted = np.isfinite(movie).all((1, 2))
    counted[:SKIPPED_FRAMES] = False
    return video_correlation(movie[counted], clip.stimulus[counted])


def _print_table(found: dict[str, dict[str, float]]) -> None:
    names = [*(f"lag{lag}" for lag in LAGS_FRAMES), "final", "unusual"]
    table = Table("tried", *names, box=None)
    for trial, scores in found.items():
        cells = [f"{scores[name]:.3f}" if name in scores else "" for name in names]
        table.add_row(trial, *cells)
    Console().print(table)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=mice.CACHE)
    parser.add_argument("--plan", choices=mice.PLANS, default="whole")
    parser.add_argument(
        "--clips", type=int, default=8, help="number of validation clips"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
