"""Movies from activity, by every method, on the same clips with the same encoders.

    python benchmarks/inversion.py [--plan whole|more|quick] [--cache FOLDER] [--jobs N]

quick: two small mice, under ten minutes. whole: a thousand neurons and seven encoders,
hours. more: two further mice, one of four thousand neurons.
Test clips are of movies that neither encoder nor decoder was trained on; r is over all
pixels of all frames but those of a clip's first second. Each reconstruction is kept in
the cache as it is done, so that a run that was stopped goes on. Writes
`benchmarks/results/inversion.json`.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import methods
import mice
import numpy as np
import torch
from loop import RESULTS, machine
from methods import Item, kept
from mice import Subject
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy.ndimage import gaussian_filter

from rtrecon.core.types import Array
from rtrecon.inversion.offline.pixel_rates import CompactRates
from rtrecon.inversion.offline.published_protocol import SMOOTHING
from rtrecon.inversion.offline.results import SETTLED_FROM
from rtrecon.metrics.similarity import pearson_per_neuron, video_correlation

SMOOTHINGS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)  # frames and px, s.d.
Scores = dict[str, float]


def main() -> None:
    """Prepare mice, run every method on every clip, print and write the figures."""
    given = _arguments()
    with Progress() as progress:
        subjects = [
            mice.prepare(plan, given.cache, progress) for plan in mice.PLANS[given.plan]
        ]
        items = methods.work(subjects, given.cache, given.ensemble_clips)
        _run(items, given.jobs, progress)
    scores = _scored(items, subjects)
    figures = {name: found["mean"] for name, found in scores.items()}
    figures |= _further(items, subjects)
    _print(scores, figures)
    RESULTS.mkdir(exist_ok=True)
    figures |= {"plan": given.plan, "scores": scores, "machine": machine()}
    (RESULTS / "inversion.json").write_text(json.dumps(figures, indent=2) + "\n")


def _run(items: list[Item], jobs: int, progress: Progress) -> None:
    """Do what is not done yet, several at once, each in a process of its own."""
    left = [item for item in items if not item.path.exists()]
    task = progress.add_task("reconstructions", total=len(left))
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for done in as_completed([pool.submit(methods.do, item) for item in left]):
            progress.update(task, advance=1, description=done.result())


def _scored(items: list[Item], subjects: list[Subject]) -> dict[str, Scores]:
    """Return every method's r: mean and spread over clips."""
    own, other = subjects[:2]
    mine = [item for item in items if item.plan == own.plan]

    def made(method: str, name: str = "movie") -> Array:
        return kept([item for item in mine if item.method == method], name)

    shown = _shown(own)
    return {
        "live_r": _scores(made("live", "lag24"), shown),
        "live_r_200ms": _scores(made("live", "lag6"), shown),
        "live_r_final": _scores(made("live"), shown),
        **_published(mine, shown),
        "map_offline_r": _scores(made("map"), shown),
        "ridge_r": _scores(made("ridge")[0], shown),
        "cnn_r": _scores(made("cnn")[0], shown),
        "null_r": _scores(made("null"), shown),
        "scrambled_r": _scores(made("scrambled"), shown),
        "scrambled_within_clips_r": _scores(made("shuffled"), shown),
        "cross_animal_r": _scores(made("cross"), _shown(other)),
    }


def _further(items: list[Item], subjects: list[Subject]) -> dict[str, Any]:
    """Return what is no r of a movie: cost, the encoder, live by lag and mouse."""
    own = subjects[0]
    passes = methods.passes_per_second(own.plan.n_models)
    return {
        "passes_per_second": passes,
        "passes_ratio": passes["published"] / passes["live"],
        "hop_p99_over_hop": _hop_share(),
        "encoder_fraction_of_ceiling": _fraction_of_ceiling(own),
        "models": own.plan.n_models,
        "unusual": _unusual(items, own),
        "by_mouse": {
            subject.plan.name: _by_mouse(items, subject)
            for subject in subjects
            if subject.encoders
        },
    }


def _published(items: list[Item], shown: Array) -> dict[str, Scores]:
    """One model on all clips; all models on those that all were run on.

    On these, one model and the live method are scored too, to be compared with. The
    best smoothing is the one that suits these very clips best.
    """
    own = [item for item in items if item.method == "published"]
    one = kept([item for item in own if not item.model])
    clips = sorted({item.clip for item in own if item.model})
    several = np.stack([kept([i for i in own if i.clip == c]).mean(0) for c in clips])
    fewer = shown[clips]
    live = kept([i for i in items if i.method == "live" and i.clip in clips], "lag24")
    overlapping = kept([item for item in items if item.method == "stride"])
    return {
        "published_best_r": _best_smoothed(one, shown),
        "published_sigma05_r": _scores(_smoothed(one, SMOOTHING), shown),
        "published_sigma0_r": _scores(one, shown),
        "published_all_models_best_r": _best_smoothed(several, fewer),
        "published_all_models_sigma05_r": _scores(_smoothed(several, SMOOTHING), fewer),
        "published_one_model_same_clips_r": _best_smoothed(one[clips], fewer),
        "live_same_clips_r": _scores(live, fewer),
        "published_overlapping_windows_r": _best_smoothed(overlapping, shown[:1]),
        "published_windows_beside_r": _best_smoothed(one[:1], shown[:1]),
    }


def _unusual(items: list[Item], subject: Subject) -> dict[str, dict[str, float]]:
    """Return r of each stimulus unlike all movies, by method; live when final."""
    mine = [item for item in items if item.plan == subject.plan]
    made = {
        "live": kept([item for item in mine if item.method == "unusual"]),
        "held": kept([item for item in mine if item.method == "unusual_held"]),
        "ridge": kept([i for i in mine if i.method == "ridge"], "unusual")[0],
        "cnn": kept([i for i in mine if i.method == "cnn"], "unusual")[0],
    }
    own = slice(SETTLED_FROM, None)
    return {
        name: {
            method: video_correlation(movies[place][own], clip.shown[own])
            for method, movies in made.items()
        }
        for place, (name, clip) in enumerate(
            zip(mice.UNUSUAL, subject.unusual, strict=True)
        )
        if clip.shown is not None
    }


def _by_mouse(items: list[Item], subject: Subject) -> dict[str, Scores]:
    """Live at each age of the frames, and one model of the published protocol.

    Where that was run on fewer clips, live is scored on those, too.
    """
    own = [item for item in items if item.plan == subject.plan]
    live = [item for item in own if item.method == "live"]
    one = [item for item in own if item.method == "published" and not item.model]
    shown = _shown(subject)
    by_lag = {f"lag{k}": kept(live, f"lag{k}") for k in methods.LAGS_FRAMES}
    movies = by_lag | {"final": kept(live)}
    found = {name: _scores(movie, shown) for name, movie in movies.items()}
    fewer = shown[: len(one)]
    found["published_one_model_best"] = _best_smoothed(kept(one), fewer)
    if len(one) < len(live):
        found["lag24_same_clips"] = _scores(by_lag["lag24"][: len(one)], fewer)
    return found


def _shown(subject: Subject) -> Array:
    return np.stack([clip.shown for clip in subject.test if clip.shown is not None])


def _scores(made: Array, shown: Array) -> Scores:
    """Mean and spread over clips of r over all pixels, from the second second on.

    The first is left out as in published figures: no method knows what came before.
    """
    own = slice(SETTLED_FROM, None)
    r = [video_correlation(a[own], b[own]) for a, b in zip(made, shown, strict=True)]
    return {"mean": float(np.mean(r)), "sd": float(np.std(r)), "clips": len(r)}


def _smoothed(movies: Array, sigma: float) -> Array:
    return np.asarray(gaussian_filter(movies, (0, sigma, sigma, sigma)))


def _best_smoothed(movies: Array, shown: Array) -> Scores:
    found = [
        {**_scores(_smoothed(movies, sigma), shown), "sigma": sigma}
        for sigma in SMOOTHINGS
    ]
    return max(found, key=lambda scores: scores["mean"])


def _fraction_of_ceiling(subject: Subject) -> float:
    """How well the encoder predicts single trials, as a share of what the truth does.

    The truth: expected spikes per frame. Means over neurons, over all test clips.
    """
    rates, known = CompactRates(subject.encoders[0]), []
    own = slice(rates.past_frames, None)  # before, it has not seen enough
    for clip, rate in zip(subject.test, subject.rate, strict=True):
        assert clip.shown is not None
        video = torch.from_numpy(clip.shown)
        told = rates.rates(video, clip.target.behavior_tensor()[own]).detach().numpy()
        known.append((told, rate[own], clip.target.activity[own]))
    told, rate, recorded = map(np.concatenate, zip(*known, strict=True))
    ours = np.nanmean(pearson_per_neuron(told, recorded))
    return float(ours / np.nanmean(pearson_per_neuron(rate, recorded)))


def _hop_share() -> float | None:
    """The 99th percentile of a hop's time over the hop, with the front beside it."""
    path = RESULTS / "loop.json"
    if not path.exists():
        return None
    hop_ms = json.loads(path.read_text())["latency_ms"].get("hop")
    return hop_ms["p99"] / methods.HOP_MS if hop_ms else None


def _print(scores: dict[str, Scores], figures: dict[str, Any]) -> None:
    table = Table("figure", "mean", "sd over clips", "clips", "", box=None)
    for name, value in scores.items():
        best = f"best smoothing: {value['sigma']:g}" if "sigma" in value else ""
        numbers = f"{value['mean']:.3f}", f"{value['sd']:.3f}", str(value["clips"])
        table.add_row(name, *numbers, best)
    for name, value in figures.items():
        if name not in scores and isinstance(value, float):
            table.add_row(name, f"{value:.3g}")
    Console().print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=mice.CACHE)
    parser.add_argument("--plan", choices=mice.PLANS, default="whole")
    parser.add_argument(
        "--ensemble-clips", type=int, default=10, help="for all models at once"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    return parser.parse_args()


if __name__ == "__main__":
    main()
