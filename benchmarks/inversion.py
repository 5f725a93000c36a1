"""Movies from activity, by every method, on the same clips with the same encoders.

    python benchmarks/inversion.py [--plan whole|more|quick] [--cache FOLDER] [--jobs N]

quick: two small mice, under ten minutes. whole: a thousand neurons and seven encoders,
hours. more: two further mice, one of four thousand neurons.
Neither encoders nor decoders were trained on the movies of the test clips. r is taken
over all pixels of all frames after a clip's first second. Each finished reconstruction
is stored in the cache, so that an interrupted run can be resumed. Writes
`benchmarks/results/inversion.json`, or `inversion.quick.json` with the plan quick.
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
from methods import BenchmarkItem, load_movies
from mice import Subject
from result_files import write_results
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy.ndimage import gaussian_filter

from rtrecon.core.types import Array
from rtrecon.inversion.offline.pixel_rates import CompactPixelEncoder
from rtrecon.inversion.offline.published_protocol import SMOOTHING
from rtrecon.inversion.offline.results import SKIPPED_FRAMES
from rtrecon.metrics.similarity import neuron_correlations, video_correlation

SMOOTHINGS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)  # frames and px, s.d.
Scores = dict[str, float]


def main() -> None:
    """Prepare mice, run every method on every clip, print and write the figures."""
    arguments = _parse_arguments()
    with Progress() as progress:
        subjects = [
            mice.prepare(plan, arguments.cache, progress)
            for plan in mice.PLANS[arguments.plan]
        ]
        items = methods.list_items(subjects, arguments.cache, arguments.ensemble_clips)
        _run_items(items, arguments.jobs, progress)
    scores = _score_methods(items, subjects)
    figures = {name: found["mean"] for name, found in scores.items()}
    figures |= _collect_other_figures(items, subjects)
    _print_table(scores, figures)
    figures |= {"plan": arguments.plan, "scores": scores, "machine": machine()}
    path = write_results("inversion", figures, quick=arguments.plan == "quick")
    Console().print(f"written to {path}")


def _run_items(items: list[BenchmarkItem], jobs: int, progress: Progress) -> None:
    """Run the items whose result is not stored yet, several at once."""
    left = [item for item in items if not item.path.exists()]
    task = progress.add_task("reconstructions", total=len(left))
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for done in as_completed(
            [pool.submit(methods.run_item, item) for item in left]
        ):
            progress.update(task, advance=1, description=done.result())


def _score_methods(
    items: list[BenchmarkItem], subjects: list[Subject]
) -> dict[str, Scores]:
    """Return the mean and standard deviation of r over clips, for every method."""
    own, other = subjects[:2]
    mine = [item for item in items if item.plan == own.plan]

    def made(method: str, name: str = "movie") -> Array:
        return load_movies([item for item in mine if item.method == method], name)

    shown = _stack_stimuli(own)
    return {
        "live_r": _score_movies(made("live", "lag24"), shown),
        "live_r_200ms": _score_movies(made("live", "lag6"), shown),
        "live_r_final": _score_movies(made("live"), shown),
        **_score_published(mine, shown),
        "map_offline_r": _score_movies(made("map"), shown),
        "ridge_r": _score_movies(made("ridge")[0], shown),
        "cnn_r": _score_movies(made("cnn")[0], shown),
        "null_r": _score_movies(made("null"), shown),
        "scrambled_r": _score_movies(made("scrambled"), shown),
        "scrambled_within_clips_r": _score_movies(made("shuffled"), shown),
        "cross_animal_r": _score_movies(made("cross"), _stack_stimuli(other)),
    }


def _collect_other_figures(
    items: list[BenchmarkItem], subjects: list[Subject]
) -> dict[str, Any]:
    """Return all other figures: cost, encoder quality, live r by lag and by mouse."""
    own = subjects[0]
    passes = methods.compute_pass_rates(own.plan.n_models)
    return {
        "passes_per_second": passes,
        "passes_ratio": passes["published"] / passes["live"],
        "hop_p99_over_hop": _read_hop_time_fraction(),
        "encoder_fraction_of_ceiling": _compare_with_true_rates(own),
        "models": own.plan.n_models,
        "unusual": _score_unusual_stimuli(items, own),
        "by_mouse": {
            subject.plan.name: _score_by_mouse(items, subject)
            for subject in subjects
            if subject.encoders
        },
    }


def _score_published(items: list[BenchmarkItem], shown: Array) -> dict[str, Scores]:
    """Score one model on all clips, and all models on the clips that all have.

    On those clips, one model and the live method are scored as well, for comparison.
    The best smoothing is chosen on the test clips themselves, in favour of this method.
    """
    own = [item for item in items if item.method == "published"]
    one = load_movies([item for item in own if not item.model])
    clips = sorted({item.clip for item in own if item.model})
    several = np.stack(
        [load_movies([i for i in own if i.clip == c]).mean(0) for c in clips]
    )
    fewer = shown[clips]
    live = load_movies(
        [i for i in items if i.method == "live" and i.clip in clips], "lag24"
    )
    overlapping = load_movies([item for item in items if item.method == "stride"])
    return {
        "published_best_r": _score_best_smoothing(one, shown),
        "published_sigma05_r": _score_movies(_smooth_movies(one, SMOOTHING), shown),
        "published_sigma0_r": _score_movies(one, shown),
        "published_all_models_best_r": _score_best_smoothing(several, fewer),
        "published_all_models_sigma05_r": _score_movies(
            _smooth_movies(several, SMOOTHING), fewer
        ),
        "published_one_model_same_clips_r": _score_best_smoothing(one[clips], fewer),
        "live_same_clips_r": _score_movies(live, fewer),
        "published_overlapping_windows_r": _score_best_smoothing(
            overlapping, shown[:1]
        ),
        "published_windows_beside_r": _score_best_smoothing(one[:1], shown[:1]),
    }


def _score_unusual_stimuli(
    items: list[BenchmarkItem], subject: Subject
) -> dict[str, dict[str, float]]:
    """Return r of each stimulus unlike movies, by method; live: final frames."""
    mine = [item for item in items if item.plan == subject.plan]
    made = {
        "live": load_movies([item for item in mine if item.method == "unusual"]),
        "held": load_movies([item for item in mine if item.method == "unusual_held"]),
        "ridge": load_movies([i for i in mine if i.method == "ridge"], "unusual")[0],
        "cnn": load_movies([i for i in mine if i.method == "cnn"], "unusual")[0],
    }
    counted = slice(SKIPPED_FRAMES, None)
    return {
        name: {
            method: video_correlation(movies[index][counted], clip.stimulus[counted])
            for method, movies in made.items()
        }
        for index, (name, clip) in enumerate(
            zip(mice.UNUSUAL, subject.unusual, strict=True)
        )
        if clip.stimulus is not None
    }


def _score_by_mouse(items: list[BenchmarkItem], subject: Subject) -> dict[str, Scores]:
    """Score the live method at each lag, and one model of the published protocol.

    If the published protocol ran on fewer clips, live is scored on those as well.
    """
    own = [item for item in items if item.plan == subject.plan]
    live = [item for item in own if item.method == "live"]
    one = [item for item in own if item.method == "published" and not item.model]
    shown = _stack_stimuli(subject)
    by_lag = {f"lag{k}": load_movies(live, f"lag{k}") for k in methods.LAGS_FRAMES}
    movies = by_lag | {"final": load_movies(live)}
    found = {name: _score_movies(movie, shown) for name, movie in movies.items()}
    fewer = shown[: len(one)]
    found["published_one_model_best"] = _score_best_smoothing(load_movies(one), fewer)
    if len(one) < len(live):
        found["lag24_same_clips"] = _score_movies(by_lag["lag24"][: len(one)], fewer)
    return found


def _stack_stimuli(subject: Subject) -> Array:
    return np.stack(
        [clip.stimulus for clip in subject.test if clip.stimulus is not None]
    )


def _score_movies(made: Array, shown: Array) -> Scores:
    """Return mean and standard deviation over clips of r over all pixels.

    The first second is skipped as in the published figures, because no method knows
    the frames before the clip.
    """
    counted = slice(SKIPPED_FRAMES, None)
    r = [
        video_correlation(a[counted], b[counted])
        for a, b in zip(made, shown, strict=True)
    ]
    return {"mean": float(np.mean(r)), "sd": float(np.std(r)), "clips": len(r)}


def _smooth_movies(movies: Array, sigma: float) -> Array:
    return np.asarray(gaussian_filter(movies, (0, sigma, sigma, sigma)))


def _score_best_smoothing(movies: Array, shown: Array) -> Scores:
    found = [
        {**_score_movies(_smooth_movies(movies, sigma), shown), "sigma": sigma}
        for sigma in SMOOTHINGS
    ]
    return max(found, key=lambda scores: scores["mean"])


def _compare_with_true_rates(subject: Subject) -> float:
    """Return the encoder's r with single trials, divided by that of the true rates.

    True rates: expected spikes per frame. Means over neurons, over all test clips.
    """
    rates, known = CompactPixelEncoder(subject.encoders[0]), []
    own = slice(rates.past_frames, None)  # before, frames of the past are missing
    for clip, rate in zip(subject.test, subject.rate, strict=True):
        assert clip.stimulus is not None
        video = torch.from_numpy(clip.stimulus)
        predicted = (
            rates.predict_rates(video, clip.target.behavior_tensor()[own])
            .detach()
            .numpy()
        )
        known.append((predicted, rate[own], clip.target.activity[own]))
    predicted, rate, recorded = map(np.concatenate, zip(*known, strict=True))
    ours = np.nanmean(neuron_correlations(predicted, recorded))
    return float(ours / np.nanmean(neuron_correlations(rate, recorded)))


def _read_hop_time_fraction() -> float | None:
    """Return the 99th percentile of a hop's computing time, in hops."""
    path = RESULTS / "loop.json"
    if not path.exists():
        return None
    hop_ms = json.loads(path.read_text())["latency_ms"].get("hop")
    return hop_ms["p99"] / methods.HOP_MS if hop_ms else None


def _print_table(scores: dict[str, Scores], figures: dict[str, Any]) -> None:
    table = Table("figure", "mean", "sd over clips", "clips", "", box=None)
    for name, value in scores.items():
        best = f"best smoothing: {value['sigma']:g}" if "sigma" in value else ""
        numbers = f"{value['mean']:.3f}", f"{value['sd']:.3f}", str(value["clips"])
        table.add_row(name, *numbers, best)
    for name, value in figures.items():
        if name not in scores and isinstance(value, float):
            table.add_row(name, f"{value:.3g}")
    Console().print(table)


def _parse_arguments() -> argparse.Namespace:
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
