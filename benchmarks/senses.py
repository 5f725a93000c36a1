"""Sound and touch: the live inversion beside ridge regression, a null and a bound.

    python benchmarks/senses.py [--senses sound touch] [--quick]

Simulated neurons and the encoders that come with rtrecon. Ridge regression learns from
the session that the encoder was trained on, with the best of several sets of bins and
penalties, chosen on tuning clips; all methods then reconstruct the same frames of test
clips from the same neurons, without a held-out tenth. r is taken over all values, and
over the *pattern*: without the mean of each value over time and of each frame, which a
loud moment of all bands has for any neurons. A live session measures the hops.

Writes `benchmarks/results/senses.json`, or with --quick `senses.quick.json`.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_files import describe_machine, update_results
from rich import print as show
from sense_sessions import SenseSessions, SessionSize
from true_senses import make_true_encoder

from rtrecon.core.types import Array
from rtrecon.demo.sense import SenseDemoRequest, run_sense_demo
from rtrecon.inversion.neuron_exchange import exchange_neurons
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.live_and_map import (
    STEPS_PER_HOP,
    LiveResult,
    reconstruct_live,
    reconstruct_map,
)
from rtrecon.inversion.offline.ridge_decoder import BINS, Bins, RidgeDecoder, fit_ridge
from rtrecon.inversion.space_settings import make_settings
from rtrecon.metrics.similarity import video_correlation

Figures = dict[str, Any]
Movies = Sequence[Array]

FULL_DEMO_S, QUICK_DEMO_S = 30.0, 6.0
QUICK = SessionSize(training_minutes=1.0, n_tuning=2, n_tests=2)
_SETTLED_S = 1.0  # left out at the start
_LAG_S, _EARLY_LAG_S = 0.3, 0.1
_PAST: Bins = ((-16, -8), (-8, -4), (-4, -2), (-2, 0))
_SOON: Bins = ((0, 2), (2, 4), (4, 6), (6, 9), (9, 13))
# Frames of activity around the decoded one; the last ones wait for 0.3 s.
RIDGE_BINS: dict[str, Bins] = {
    "0.12 s": BINS,
    "0.3 s, longer past": (*_PAST, *_SOON, (13, 20), (20, 30)),
}
# Prior and data weight of the inversion of the true neurons.
TRUE_SETTINGS = ("movies", 1.0), ("decoder", 0.3)
TRUE_STEPS, QUICK_TRUE_STEPS = 120, 40
PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "another-sense.md"


def main() -> None:
    """Measure each sense, print and write the figures."""
    arguments = _parse_arguments()
    torch.set_num_threads(1)
    size = QUICK if arguments.quick else SessionSize()
    for sense in arguments.senses:
        figures = measure_sense(SenseSessions(sense, size), quick=arguments.quick)
        show(sense, figures)
        shared = {
            "files_for_a_new_sense": count_files_for_a_new_sense(),
            "machine": describe_machine(),
        }
        path = update_results(
            "senses", {sense: figures, **shared}, quick=arguments.quick
        )
        show(f"written to {path}")


def measure_sense(sessions: SenseSessions, *, quick: bool) -> Figures:
    """Return all figures of a sense."""
    tests = [_hold_out(clip) for clip in sessions.tests]
    live = [_run_live(sessions, clip) for clip in tests]
    null = [_run_live(sessions, _exchange(clip)) for clip in tests]
    ridge, ridge_name = _choose_ridge(sessions)
    rate_hz = sessions.space.rate_hz
    movies: dict[str, Movies] = {
        "live_r": [result.final for result in live],
        "live_r_300ms": _select_lag(live, _LAG_S * rate_hz),
        "live_r_100ms": _select_lag(live, _EARLY_LAG_S * rate_hz),
        "ridge_r": [ridge.decode(clip.target) for clip in tests],
        "null_r": [result.final for result in null],
        "null_r_300ms": _select_lag(null, _LAG_S * rate_hz),
    }
    steps = QUICK_TRUE_STEPS if quick else TRUE_STEPS
    movies["map_true_encoder_r"], true_name = _invert_true_neurons(sessions, steps)
    score = _Scorer(tests, rate_hz)
    return {
        **{name: score.mean(made) for name, made in movies.items()},
        "sd_over_clips": {name: score.sd(made) for name, made in movies.items()},
        "pattern": {name: score.mean_pattern(made) for name, made in movies.items()},
        "ridge_waits": ridge_name,
        "ridge_penalty": ridge.penalty,
        "true_encoder_prior": true_name,
        "encoder_fraction_of_ceiling": sessions.compare_with_true_rates(),
        "neurons": sessions.neurons.n_neurons,
        "training_minutes": sessions.size.training_minutes,
        "clips": len(tests),
        "steps_per_hop": STEPS_PER_HOP,
        **_measure_hops(sessions, QUICK_DEMO_S if quick else FULL_DEMO_S),
    }


def count_files_for_a_new_sense() -> int:
    """Return how many files the example of the documentation writes or changes."""
    rows = re.findall(r"^\| `rtrecon/[a-z_/]+\.py` \|", PAGE.read_text("utf-8"), re.M)
    return len(rows)


class _Scorer:
    """Correlations of movies with the stimuli of clips, over the frames that count."""

    def __init__(self, clips: Sequence[Clip], rate_hz: float) -> None:
        self._clips = clips
        window = clips[0].space.window_frames + clips[0].space.hop_frames
        first = round(_SETTLED_S * rate_hz)
        self._frames = slice(first, len(clips[0].target) - window)

    def mean(self, movies: Movies) -> float:
        """Return the mean r over clips."""
        return float(np.mean(self._correlate(movies, _keep)))

    def sd(self, movies: Movies) -> float:
        """Return the s.d. of r over clips."""
        return float(np.std(self._correlate(movies, _keep), ddof=1))

    def mean_pattern(self, movies: Movies) -> float:
        """Return the mean r of the pattern over clips."""
        return float(np.mean(self._correlate(movies, _remove_means)))

    def _correlate(
        self, movies: Movies, change: Callable[[Array], Array]
    ) -> list[float]:
        r = []
        for movie, clip in zip(movies, self._clips, strict=True):
            assert clip.stimulus is not None
            pair = change(movie[self._frames]), change(clip.stimulus[self._frames])
            r.append(video_correlation(*pair))
        return r


def _keep(frames: Array) -> Array:
    return frames


def _remove_means(frames: Array) -> Array:
    """Return frames without the mean of each value, and then of each frame."""
    varying = frames - frames.mean(0)
    return np.asarray(varying - varying.mean((1, 2), keepdims=True))


def _hold_out(clip: Clip) -> Clip:
    """Return the clip without the tenth of its neurons that a session holds out."""
    n = clip.target.activity.shape[1]
    is_used = np.random.default_rng([0, n]).permutation(n) >= n // 10
    return replace(clip, target=replace(clip.target, used_neurons=is_used))


def _exchange(clip: Clip) -> Clip:
    """Return the clip in which each neuron has the activity of another one."""
    is_used = clip.target.used_neurons
    assert is_used is not None
    order = exchange_neurons(~is_used, np.random.default_rng(1).permutation)
    activity = clip.target.activity[:, order]
    return replace(clip, target=replace(clip.target, activity=activity))


def _run_live(sessions: SenseSessions, clip: Clip) -> LiveResult:
    return reconstruct_live(sessions.checkpoint, clip.target)


def _select_lag(results: Sequence[LiveResult], lag_frames: float) -> Movies:
    return [result.movies[round(lag_frames)] for result in results]


def _choose_ridge(sessions: SenseSessions) -> tuple[RidgeDecoder, str]:
    """Return the decoder whose bins are best on the tuning clips, and their name."""
    training = [_hold_out(clip) for clip in sessions.training]
    tuning = [_hold_out(clip) for clip in sessions.tuning]
    score = _Scorer(tuning, sessions.space.rate_hz)
    decoders = {name: fit_ridge(training, bins=b) for name, b in RIDGE_BINS.items()}

    def rate(name: str) -> float:
        return score.mean([decoders[name].decode(clip.target) for clip in tuning])

    best = max(decoders, key=rate)
    return decoders[best], best


def _invert_true_neurons(sessions: SenseSessions, steps: int) -> tuple[Movies, str]:
    """Return the test movies of the neurons themselves, and the prior used.

    Prior and data weight are those that are better on the first tuning clip. The
    neurons' shared gain is known.
    """
    subject: Any = sessions.neurons.make_subject()
    checkpoint = sessions.checkpoint
    calibration = replace(
        checkpoint.calibration, dispersion=torch.ones(subject.n_neurons)
    )

    def invert(session: Any, clip: Clip, prior: Any, weight: float) -> Array:
        encoder: Any = make_true_encoder(subject, session)
        exact = replace(checkpoint, encoder=encoder, calibration=calibration)
        settings = make_settings(sessions.space).model_copy(
            update={"prior": prior, "data_weight": weight}
        )
        return reconstruct_map(exact, _hold_out(clip).target, steps, settings).movie

    tuned = sessions.tuning_sessions[0], sessions.tuning[0]
    score = _Scorer(sessions.tuning[:1], sessions.space.rate_hz)
    prior, weight = max(
        TRUE_SETTINGS, key=lambda each: score.mean([invert(*tuned, *each)])
    )
    pairs = zip(sessions.test_sessions, sessions.tests, strict=True)
    movies = [invert(session, clip, prior, weight) for session, clip in pairs]
    return movies, f"{prior}, data weight {weight:g}"


def _measure_hops(sessions: SenseSessions, seconds: float) -> Figures:
    """Return how long hops take in a live demo, relative to the time between two."""
    with tempfile.TemporaryDirectory() as scratch:
        request = SenseDemoRequest(sessions.sense, seconds, True, Path(scratch))
        summary = run_sense_demo(request, show, lambda done, total: None)
    hop_ms = 1e3 * sessions.space.hop_frames / sessions.space.rate_hz
    latency_ms = summary["latency_ms"]["hop"]
    return {
        "hop_p50_over_hop": latency_ms["p50"] / hop_ms,
        "hop_p99_over_hop": latency_ms["p99"] / hop_ms,
        "demo": {
            "seconds": seconds,
            "steps_per_hop": summary["steps_per_hop"],
            "deadline_misses": summary["deadline_misses"],
            "live_r_300ms": summary["live_r"],
            "ridge_r": summary["ridge_r"],
        },
    }


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    senses = "sound", "touch"
    parser.add_argument("--senses", nargs="+", choices=senses, default=[*senses])
    parser.add_argument("--quick", action="store_true", help="few clips, one minute")
    return parser.parse_args()


if __name__ == "__main__":
    main()
