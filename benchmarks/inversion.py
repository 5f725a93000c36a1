"""Movies from activity, by every method, on the same clips with the same encoders.

    python benchmarks/inversion.py [--mice full|two|quick] [--cache FOLDER] [--jobs N]

full: three mice, one of four thousand neurons and one with seven encoders; many hours.
two: two mice of a thousand neurons; hours. quick: two small mice, under ten minutes.
Neither encoders nor decoders were trained on the movies of the test clips. r is taken
over all pixels of all frames after a clip's first second, and once more where the
neurons look. Each finished reconstruction is stored in the cache, so that an
interrupted run can be resumed. Writes its figures into
`benchmarks/results/inversion.json`; with fewer mice or ensemble clips, into
`inversion.quick.json`.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import methods
import numpy as np
import simulated_mice
import torch
from methods import BenchmarkItem, load_movies
from result_files import RESULTS, describe_machine, update_results
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy.ndimage import gaussian_filter
from simulated_mice import MouseData

from rtrecon.core.types import Array
from rtrecon.encoder.sensitivity import find_visual_field, get_mean_frame
from rtrecon.inversion.offline.pixel_rates import CompactPixelEncoder
from rtrecon.inversion.offline.published_protocol import SMOOTHING
from rtrecon.inversion.offline.results import SKIPPED_FRAMES
from rtrecon.metrics.similarity import neuron_correlations, video_correlation

ENSEMBLE_CLIPS = 10  # clips on which all models run the published protocol
SMOOTHINGS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)  # frames and px, s.d.
Scores = dict[str, float]


def main() -> None:
    """Prepare mice, run every method on every clip, print and write the figures."""
    arguments = _parse_arguments()
    with Progress() as progress:
        mice = [
            simulated_mice.prepare_mouse(mouse, arguments.cache, progress)
            for mouse in simulated_mice.MOUSE_SETS[arguments.mice]
        ]
        items = methods.list_items(mice, arguments.cache, arguments.ensemble_clips)
        _run_items(items, arguments.jobs, progress)
    scores = _score_methods(items, mice)
    figures: dict[str, Any] = {name: each["mean"] for name, each in scores.items()}
    figures |= _collect_other_figures(items, mice)
    figures["visual_field"] = _score_visual_field(items, mice[0])
    _print_table(scores, figures)
    figures |= {"mice": arguments.mice, "scores": scores, "machine": describe_machine()}
    is_full = arguments.mice == "full" and arguments.ensemble_clips >= ENSEMBLE_CLIPS
    path = update_results("inversion", figures, quick=not is_full)
    Console().print(f"written to {path}")


def _run_items(items: list[BenchmarkItem], jobs: int, progress: Progress) -> None:
    """Run the items whose result is not stored yet, several at once."""
    pending = [item for item in items if not item.path.exists()]
    task = progress.add_task("reconstructions", total=len(pending))
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for done in as_completed(
            [pool.submit(methods.run_item, item) for item in pending]
        ):
            progress.update(task, advance=1, description=done.result())


def _score_methods(
    items: list[BenchmarkItem], mice: list[MouseData]
) -> dict[str, Scores]:
    """Return the mean and standard deviation of r over clips, for every method."""
    first, other = mice[:2]
    first_items = [item for item in items if item.mouse == first.settings]

    def load(method: str, name: str = "movie") -> Array:
        return load_movies(
            [item for item in first_items if item.method == method], name
        )

    stimuli = _stack_stimuli(first)
    return {
        "live_r": _score_movies(load("live", "lag24"), stimuli),
        "live_r_200ms": _score_movies(load("live", "lag6"), stimuli),
        "live_r_final": _score_movies(load("live"), stimuli),
        **_score_published(first_items, stimuli),
        "map_offline_r": _score_movies(load("map"), stimuli),
        "ridge_r": _score_movies(load("ridge")[0], stimuli),
        "cnn_r": _score_movies(load("cnn")[0], stimuli),
        "null_r": _score_movies(load("null"), stimuli),
        "scrambled_r": _score_movies(load("scrambled"), stimuli),
        "scrambled_within_clips_r": _score_movies(load("shuffled"), stimuli),
        "cross_animal_r": _score_movies(load("cross"), _stack_stimuli(other)),
    }


def _score_visual_field(items: list[BenchmarkItem], mouse: MouseData) -> dict[str, Any]:
    """Score methods where the first encoder's neurons look, beside a still movie.

    share: of the screen that this is. The still movie is the mean of the training
    movies.
    """
    visual_field = find_visual_field(mouse.encoders[0])
    own_items = [item for item in items if item.mouse == mouse.settings]

    def load(method: str, name: str = "movie") -> Array:
        return load_movies([item for item in own_items if item.method == method], name)

    stimuli = _stack_stimuli(mouse)
    mean_frame = get_mean_frame(mouse.encoders[0])
    movies = {
        "live_r": load("live", "lag24"),
        "live_r_final": load("live"),
        "map_offline_r": load("map"),
        "ridge_r": load("ridge")[0],
        "cnn_r": load("cnn")[0],
        "null_r": load("null"),
        "mean_frame_r": np.broadcast_to(mean_frame, stimuli.shape),
    }
    return {
        "share": float(visual_field.mean()),
        "scores": {
            name: _score_movies(movie, stimuli, visual_field)
            for name, movie in movies.items()
        },
    }


def _collect_other_figures(
    items: list[BenchmarkItem], mice: list[MouseData]
) -> dict[str, Any]:
    """Return all other figures: cost, encoder quality, live r by lag and by mouse."""
    first = mice[0]
    passes = methods.compute_pass_rates(first.settings.n_models)
    return {
        "passes_per_second": passes,
        "passes_ratio": passes["published"] / passes["live"],
        "hop_p99_over_hop": _read_hop_time_fraction(),
        "encoder_fraction_of_ceiling": _compare_with_true_rates(first),
        "models": first.settings.n_models,
        "unusual": _score_unusual_stimuli(items, first),
        "by_mouse": {
            mouse.settings.name: _score_by_mouse(items, mouse)
            for mouse in mice
            if mouse.encoders
        },
    }


def _score_published(items: list[BenchmarkItem], stimuli: Array) -> dict[str, Scores]:
    """Score one model on all clips, and all models on the clips that all have.

    On those clips, one model and the live method are scored as well, for comparison.
    The best smoothing is chosen on the test clips themselves, in favour of this method.
    """
    published = [item for item in items if item.method == "published"]
    one_model = load_movies([item for item in published if not item.model])
    clips = sorted({item.clip_index for item in published if item.model})
    ensemble = np.stack(
        [load_movies([i for i in published if i.clip == c]).mean(0) for c in clips]
    )
    ensemble_stimuli = stimuli[clips]
    live = load_movies(
        [i for i in items if i.method == "live" and i.clip in clips], "lag24"
    )
    overlapping = load_movies([item for item in items if item.method == "stride"])
    return {
        "published_best_r": _score_best_smoothing(one_model, stimuli),
        "published_sigma05_r": _score_movies(
            _smooth_movies(one_model, SMOOTHING), stimuli
        ),
        "published_sigma0_r": _score_movies(one_model, stimuli),
        "published_all_models_best_r": _score_best_smoothing(
            ensemble, ensemble_stimuli
        ),
        "published_all_models_sigma05_r": _score_movies(
            _smooth_movies(ensemble, SMOOTHING), ensemble_stimuli
        ),
        "published_one_model_same_clips_r": _score_best_smoothing(
            one_model[clips], ensemble_stimuli
        ),
        "live_same_clips_r": _score_movies(live, ensemble_stimuli),
        "published_overlapping_windows_r": _score_best_smoothing(
            overlapping, stimuli[:1]
        ),
        "published_windows_beside_r": _score_best_smoothing(one_model[:1], stimuli[:1]),
    }


def _score_unusual_stimuli(
    items: list[BenchmarkItem], mouse: MouseData
) -> dict[str, dict[str, float]]:
    """Return r of each stimulus unlike movies, by method; live: final frames."""
    mouse_items = [item for item in items if item.mouse == mouse.settings]
    movies_by_method = {
        "live": load_movies([item for item in mouse_items if item.method == "unusual"]),
        "fixed_prior": load_movies(
            [item for item in mouse_items if item.method == "unusual_held"]
        ),
        "ridge": load_movies(
            [i for i in mouse_items if i.method == "ridge"], "unusual"
        )[0],
        "cnn": load_movies([i for i in mouse_items if i.method == "cnn"], "unusual")[0],
    }
    counted = slice(SKIPPED_FRAMES, None)
    return {
        name: {
            method: video_correlation(movies[index][counted], clip.stimulus[counted])
            for method, movies in movies_by_method.items()
        }
        for index, (name, clip) in enumerate(
            zip(simulated_mice.UNUSUAL, mouse.unusual, strict=True)
        )
        if clip.stimulus is not None
    }


def _score_by_mouse(items: list[BenchmarkItem], mouse: MouseData) -> dict[str, Scores]:
    """Score the live method at each lag, and one model of the published protocol.

    If the published protocol ran on fewer clips, live is scored on those as well.
    """
    mouse_items = [item for item in items if item.mouse == mouse.settings]
    live = [item for item in mouse_items if item.method == "live"]
    published = [
        item for item in mouse_items if item.method == "published" and not item.model
    ]
    stimuli = _stack_stimuli(mouse)
    by_lag = {f"lag{k}": load_movies(live, f"lag{k}") for k in methods.LAGS_FRAMES}
    movies = by_lag | {"final": load_movies(live)}
    scores = {name: _score_movies(movie, stimuli) for name, movie in movies.items()}
    n_published = len(published)
    same_stimuli = stimuli[:n_published]
    scores["published_one_model_best"] = _score_best_smoothing(
        load_movies(published), same_stimuli
    )
    if n_published < len(live):
        scores["lag24_same_clips"] = _score_movies(
            by_lag["lag24"][:n_published], same_stimuli
        )
    return scores


def _stack_stimuli(mouse: MouseData) -> Array:
    return np.stack([clip.stimulus for clip in mouse.test if clip.stimulus is not None])


def _score_movies(movies: Array, stimuli: Array, mask: Array | None = None) -> Scores:
    """Return mean and standard deviation over clips of r over all pixels.

    mask: (36, 64) bool, the pixels that count. The first second is skipped as in the
    published figures, because no method knows the frames before the clip.
    """
    counted = slice(SKIPPED_FRAMES, None)
    r = [
        video_correlation(a[counted], b[counted], mask)
        for a, b in zip(movies, stimuli, strict=True)
    ]
    return {"mean": float(np.mean(r)), "sd": float(np.std(r)), "clips": len(r)}


def _smooth_movies(movies: Array, sigma: float) -> Array:
    return np.asarray(gaussian_filter(movies, (0, sigma, sigma, sigma)))


def _score_best_smoothing(movies: Array, stimuli: Array) -> Scores:
    scores = [
        {**_score_movies(_smooth_movies(movies, sigma), stimuli), "sigma": sigma}
        for sigma in SMOOTHINGS
    ]
    return max(scores, key=lambda score: score["mean"])


def _compare_with_true_rates(mouse: MouseData) -> float:
    """Return the encoder's r with single trials, divided by that of the true rates.

    True rates: expected spikes per frame. Means over neurons, over all test clips.
    """
    encoder, parts = CompactPixelEncoder(mouse.encoders[0]), []
    counted = slice(encoder.past_frames, None)  # before, past frames are missing
    for clip, rate in zip(mouse.test, mouse.rate, strict=True):
        assert clip.stimulus is not None
        video = torch.from_numpy(clip.stimulus)
        predicted = (
            encoder.predict_rates(video, clip.target.behavior_tensor()[counted])
            .detach()
            .numpy()
        )
        parts.append((predicted, rate[counted], clip.target.activity[counted]))
    predicted, rate, recorded = map(np.concatenate, zip(*parts, strict=True))
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
    parser.add_argument("--cache", type=Path, default=simulated_mice.CACHE)
    parser.add_argument("--mice", choices=simulated_mice.MOUSE_SETS, default="full")
    parser.add_argument(
        "--ensemble-clips",
        type=int,
        default=ENSEMBLE_CLIPS,
        help="for all models at once",
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    return parser.parse_args()


if __name__ == "__main__":
    main()
