"""What was tried for the live inversion, on clips that are kept to choose by.

    python benchmarks/tried.py [--plan whole|quick] [--cache FOLDER] [--clips N]

The mouse, its encoder and the cache are those of `inversion.py`; the clips are neither
trained nor tested on: movies, and noise and gratings (`unusual`, when final). Each row
changes one thing. Writes
`benchmarks/results/tried.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mice
import numpy as np
import torch
from loop import RESULTS, machine
from mice import Subject
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from rtrecon.config import InvertSettings
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.prior import SPAN_FRAMES, fit_prior
from rtrecon.encoder.spectrum import spectrum
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.compact import STEPS_PER_HOP, reconstruct_live
from rtrecon.inversion.offline.results import SETTLED_FROM
from rtrecon.metrics.similarity import video_correlation

LAGS_FRAMES = (3, 6, 12, 24)
USED = InvertSettings()


@dataclass(frozen=True)
class Trial:
    """What is different from what is used.

    temperature, spread: times those that are used, of the data's weight and of the
    prior's s.d. span_frames: what the prior's fading is fitted over; 1 = the
    correlation of neighbouring frames alone. adaptive: whether the prior's contrast
    follows what is found.
    """

    name: str
    steps: int = STEPS_PER_HOP
    temperature: float = 1.0
    span_frames: int = SPAN_FRAMES
    spread: float = 1.0
    hop_frames: int = USED.hop_frames
    window_frames: int = USED.window_frames
    adaptive: bool = True


TRIALS = (
    Trial("as used"),
    Trial("prior held to", adaptive=False),
    *(Trial(f"prior fitted over {n} frames", span_frames=n) for n in (1, 6, 12, 48)),
    *(Trial(f"{n} steps per hop", steps=n) for n in (4, 8, 26, 60)),
    *(Trial(f"temperature x {k:g}", temperature=k) for k in (0.25, 0.5, 2, 4)),
    *(Trial(f"prior's spread x {k:g}", spread=k) for k in (0.7, 1.4)),
    Trial("hops of 3 frames", steps=8, hop_frames=3, window_frames=36),
    Trial("hops of 10 frames", steps=26, hop_frames=10, window_frames=40),
    Trial("window of 20 frames", window_frames=20),
    Trial("window of 60 frames", window_frames=60),
)


def main() -> None:
    """Try all, print and write the table."""
    given = _arguments()
    torch.set_num_threads(1)
    plan = mice.PLANS[given.plan][0]
    with Progress() as progress:
        subject = mice.prepare(replace(plan, n_models=1), given.cache, progress)
        clips, unusual = mice.tuning_clips(plan, given.cache, progress)
    clips, found = clips[: given.clips], {}
    for trial in track(TRIALS, "trying"):
        encoder = _changed(subject, trial)
        of_unusual = _scores(encoder, trial, unusual)["final"]
        found[trial.name] = _scores(encoder, trial, clips) | {"unusual": of_unusual}
    _print(found)
    RESULTS.mkdir(exist_ok=True)
    whole = {"clips": len(clips), "r": found, "machine": machine()}
    (RESULTS / "tried.json").write_text(json.dumps(whole, indent=2) + "\n")


def _changed(subject: Subject, trial: Trial) -> Checkpoint:
    """Return the encoder with the trial's prior, fitted to the training movies."""
    shown = [clip.shown for clip in subject.training if clip.shown is not None]
    coef = spectrum().from_pixels(np.concatenate(shown))
    prior = fit_prior(coef, mice.CLIP_FRAMES, trial.span_frames)
    prior = replace(prior, q=prior.q * trial.spread)
    return replace(subject.encoders[0], prior=prior)


def _scores(
    encoder: Checkpoint, trial: Trial, clips: Sequence[Clip]
) -> dict[str, float]:
    """Return mean r over clips, by age of the frames."""
    settings = InvertSettings(
        temperature=trial.temperature * encoder.calibration.temperature,
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
            r.setdefault(name, []).append(_r(movie, clip))
    return {name: float(np.mean(values)) for name, values in r.items()}


def _r(movie: np.ndarray, clip: Clip) -> float:
    """Return r over the frames that were made, from the second second on."""
    assert clip.shown is not None
    own = np.isfinite(movie).all((1, 2))
    own[:SETTLED_FROM] = False
    return video_correlation(movie[own], clip.shown[own])


def _print(found: dict[str, dict[str, float]]) -> None:
    names = [*(f"lag{lag}" for lag in LAGS_FRAMES), "final", "unusual"]
    table = Table("tried", *names, box=None)
    for trial, scores in found.items():
        told = [f"{scores[name]:.3f}" if name in scores else "" for name in names]
        table.add_row(trial, *told)
    Console().print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=mice.CACHE)
    parser.add_argument("--plan", choices=mice.PLANS, default="whole")
    parser.add_argument("--clips", type=int, default=8, help="to choose by")
    return parser.parse_args()


if __name__ == "__main__":
    main()
