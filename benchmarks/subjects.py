"""Movies from activity, by every method, for each family of neurons.

    python benchmarks/subjects.py [--families NAME ...] [--neurons N] [--minutes M]
        [--forms NAME ...] [--skip METHOD ...] [--cache FOLDER] [--quick]

For each family: encoders of both forms and decoders are fitted to one session, and
reconstruct the same test clips of other videos and scenes. r is taken over all pixels
where the neurons look, and over the whole screen beside; over the frames for which
every method has a movie. Adds `by_subject` to `benchmarks/results/inversion.json`, or
with --quick to `inversion.quick.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import subject_methods as methods
import torch
from result_files import describe_machine, get_result_path, update_results
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from simulated_mice import CACHE
from subject_methods import MethodCache
from subject_scores import (
    Figures,
    compare_with_true_rates,
    identify_seconds,
    measure_coverage,
    score_best_smoothing,
    score_movies,
    select_frames,
)
from subject_sessions import (
    FAMILIES,
    FORMS,
    TEST_CLIPS,
    SessionPlan,
    SubjectSession,
)

from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.sensitivity import get_mean_frame
from rtrecon.training.encoder_form import EncoderForm

QUICK = SessionPlan("", n_neurons=100, minutes=2.0, epochs=3)
SLOW_METHODS = "cnn", "map", "map_true", "published"


def main() -> None:
    """Run all families, print and write the figures."""
    arguments = _parse_arguments()
    torch.set_num_threads(1)
    size = QUICK if arguments.quick else arguments
    stored = _read_stored(arguments.quick)
    for family in arguments.families:
        plan = SessionPlan(family, arguments.neurons, arguments.minutes)
        if arguments.quick:
            plan = SessionPlan(family, size.n_neurons, size.minutes, size.epochs)
        with Progress() as progress:
            session = SubjectSession(plan, arguments.cache, progress)
            figures = score_family(session, arguments.forms, set(arguments.skip))
        _print_table(family, figures)
        stored[family] = figures
        path = update_results(
            "inversion", {"by_subject": stored}, quick=arguments.quick
        )
        Console().print(f"written to {path}")


def score_family(
    session: SubjectSession, forms: Sequence[EncoderForm], skipped: set[str]
) -> Figures:
    """Run all methods on a family; its main figures are those of the better encoder.

    The better encoder predicts validation frames better, as `rtrecon train
    --encoder-form auto` chooses.
    """
    encoders = {form: session.load_encoder(form) for form in forms}
    by_form = {
        form: _score_form(session, form, encoder, skipped)
        for form, encoder in encoders.items()
    }
    best = max(by_form, key=lambda form: by_form[form]["validation_r"])
    shared = _score_other_methods(session, encoders[best], skipped)
    if "published" not in skipped and "compact" in encoders:
        movies = _open_cache(session).load(
            "published",
            partial(methods.run_published, encoders["compact"], session.test_clips),
        )["movie"]
        shared["published_best_r"], shared["published_smoothing"] = (
            score_best_smoothing(session, movies)
        )
    return {
        **_merge_figures(by_form[best], shared),
        "form": best,
        "forms": by_form,
        "neurons": session.plan.n_neurons,
        "minutes": session.plan.minutes,
        "clips": len(session.tests),
        "clip_names": TEST_CLIPS,
        "frames": sum(len(select_frames(each)) for each in session.tests),
        "field_share": float(session.visual_field.mean()),
        "machine": describe_machine(),
    }


def _score_form(
    session: SubjectSession, form: EncoderForm, encoder: Checkpoint, skipped: set[str]
) -> Figures:
    """Score the inversions of one encoder."""
    clips, steps, cache = (
        session.test_clips,
        methods.STEPS_BY_FORM[form],
        _open_cache(session),
    )
    live = cache.load(f"live-{form}", partial(methods.run_live, encoder, clips, steps))
    null = cache.load(f"null-{form}", partial(methods.run_null, encoder, clips, steps))
    movies = {
        "live_r": live["age24"],
        "live_r_200ms": live["age6"],
        "live_r_100ms": live["age3"],
        "live_final_r": live["final"],
        "null_r": null["age24"],
    }
    if "map" not in skipped:
        run = partial(methods.run_map, encoder, clips)
        movies["map_r"] = cache.load(f"map-{form}", run)["movie"]
    calibration = encoder.calibration
    standardized = [
        each.standardize_behavior(calibration.behavior_mean, calibration.behavior_sd)
        for each in session.tests
    ]
    return {
        "validation_r": encoder.card.metadata["validation_r"],
        "pixel_r_of_parts": encoder.card.metadata["validation_pixel_r"],
        "encoder_fraction_of_ceiling": compare_with_true_rates(
            encoder.encoder, standardized
        ),
        "steps_per_hop": steps,
        **score_movies(session, movies),
        **measure_coverage(session, live["age24"], live["sd24"]),
        "identification": identify_seconds(session, live["age24"]),
    }


def _score_other_methods(
    session: SubjectSession, encoder: Checkpoint, skipped: set[str]
) -> Figures:
    """Score the methods that need no encoder, or the neurons themselves."""
    cache, clips = _open_cache(session), session.test_clips
    ridge = cache.load(
        "ridge", lambda: methods.run_ridge(session.training_clips, clips)
    )
    still = get_mean_frame(encoder)
    movies = {
        "ridge_r": ridge["ahead12"],
        "ridge_r_200ms": ridge["ahead6"],
        "ridge_r_100ms": ridge["ahead3"],
        "mean_frame_r": [
            np.repeat(still[None], len(each.movie), 0) for each in session.tests
        ],
    }
    if "cnn" not in skipped:
        movies["cnn_r"] = cache.load(
            "cnn", lambda: methods.run_cnn(session.training_clips, clips)
        )["movie"]
    figures = score_movies(session, movies)
    if "map_true" in skipped:
        return figures
    run = partial(methods.run_true_map, session, encoder)
    exact = cache.load("map_true", run)["movie"]
    live = cache.load("live-compact", list)["age24"]
    same = {
        "map_true_encoder_r": exact,
        "ridge_r_same_frames": [
            movie[: len(made)]
            for movie, made in zip(ridge["ahead12"], exact, strict=False)
        ],
        "compact_live_r_same_frames": [
            movie[: len(made)] for movie, made in zip(live, exact, strict=False)
        ],
    }
    return _merge_figures(figures, score_movies(session, same))


def _merge_figures(first: Figures, second: Figures) -> Figures:
    """Return the figures of both, also those of each clip and of the whole screen."""
    parts = {key: first[key] | second[key] for key in ("whole_screen", "by_clip")}
    return first | second | parts


def _open_cache(session: SubjectSession) -> MethodCache:
    return MethodCache(session.folder, Console().print)


def _read_stored(quick: bool) -> Figures:
    """Return the families whose figures are stored already."""
    path = get_result_path("inversion", quick=quick)
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return dict(stored.get("by_subject", {}))


def _print_table(family: str, figures: Figures) -> None:
    table = Table(family, "where neurons look", "whole screen", box=None)
    for name, value in figures.items():
        if isinstance(value, float):
            screen = figures["whole_screen"].get(name)
            table.add_row(
                name, f"{value:.3f}", "" if screen is None else f"{screen:.3f}"
            )
    Console().print(table)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=[*FAMILIES])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=[*FORMS])
    parser.add_argument("--neurons", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--skip", nargs="*", choices=SLOW_METHODS, default=[])
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--quick", action="store_true", help="small mice, few minutes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
