"""Runs every method on every clip once, and stores each result in the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import mice
import numpy as np
import torch
from mice import Plan, Subject
from rich.progress import Progress

from rtrecon.config import InversionSettings
from rtrecon.core.types import Array
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.convolutional_decoder import fit_convolutional
from rtrecon.inversion.offline.live_and_map import (
    STEPS_PER_HOP,
    reconstruct_live,
    reconstruct_map,
)
from rtrecon.inversion.offline.pixel_rates import CompactPixelEncoder
from rtrecon.inversion.offline.published_protocol import reconstruct_published
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.ridge_decoder import MovieDecoder, fit_ridge
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.simulate.movie import RATE_HZ

# Adjacent windows: a quarter of the published passes, and the same movie. The item
# `stride` reconstructs one clip both ways, which shows that.
ADJACENT_WINDOWS = PublishedSettings(stride_frames=32)
OVERLAPPING_WINDOWS = PublishedSettings()
LAGS_FRAMES = (3, 6, 12, 24)
_OF_UNUSUAL = "unusual", "unusual_held"
HOP_MS = 1e3 * InversionSettings().hop_frames / RATE_HZ


@dataclass(frozen=True)
class BenchmarkItem:
    """One reconstruction to do.

    clip: index among the test clips; None = all at once. model: index of the encoder.
    source: the mouse whose activity is used; None = the encoder's own.
    """

    cache: Path
    plan: Plan
    method: str
    clip: int | None
    model: int = 0
    source: Plan | None = None

    @property
    def path(self) -> Path:
        """File of the movies: by name, float32 (T, 36, 64) of each clip."""
        name = f"{self.method}-clip{self.clip}-model{self.model}.npz"
        return self.cache / self.plan.name / "movies" / name


def list_items(
    subjects: Sequence[Subject], cache: Path, n_ensemble_clips: int
) -> list[BenchmarkItem]:
    """Return all items; those that take longest come last.

    n_ensemble_clips: number of clips on which all models of a mouse run the published
    protocol.
    """
    own, other = subjects[0].plan, subjects[1].plan
    clips = range(own.n_clips)
    items = [
        BenchmarkItem(cache, subject.plan, "live", clip)
        for subject in subjects
        if subject.encoders
        for clip in range(subject.plan.n_clips)
    ]
    items += [BenchmarkItem(cache, own, method, None) for method in ("ridge", "cnn")]
    items += [
        BenchmarkItem(cache, own, method, clip)
        for method in _OF_UNUSUAL
        for clip in range(len(mice.UNUSUAL))
    ]
    for method in ("null", "scrambled", "shuffled", "map"):
        items += [BenchmarkItem(cache, own, method, clip) for clip in clips]
    items += [BenchmarkItem(cache, own, "cross", clip, source=other) for clip in clips]
    items += [
        BenchmarkItem(cache, subject.plan, "published", clip, model)
        for subject in subjects
        for clip in range(subject.plan.n_published or subject.plan.n_clips)
        for model in range(subject.plan.n_models)
        if not model or clip < n_ensemble_clips
    ]
    return [*items, BenchmarkItem(cache, own, "stride", 0)]


def run_item(item: BenchmarkItem) -> str:
    """Reconstruct and store an item; returns a few words about it."""
    torch.set_num_threads(1)
    subject = _load_subject(item.plan, item.cache)
    source = subject if item.source is None else _load_subject(item.source, item.cache)
    if item.clip is None:
        decoder = _DECODERS[item.method](subject.training)
        movies = {
            name: np.stack([decoder.decode(clip.target) for clip in clips])
            for name, clips in (("movie", subject.test), ("unusual", subject.unusual))
        }
    else:
        clips = subject.unusual if item.method in _OF_UNUSUAL else source.test
        movies = _METHODS[item.method](item, subject, clips[item.clip])
    item.path.parent.mkdir(exist_ok=True)
    unfinished = item.path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(file, **movies)
    unfinished.replace(item.path)
    return f"{item.plan.name}: {item.method}, clip {item.clip}, model {item.model}"


def load_movies(items: Sequence[BenchmarkItem], name: str = "movie") -> Array:
    """Return stored movies (items, T, 36, 64)."""
    movies = []
    for item in items:
        with np.load(item.path) as done:
            movies.append(done[name])
    return np.stack(movies)


def compute_pass_rates(n_models: int) -> dict[str, float]:
    """Return encoder passes through one window per second of a long movie.

    The published protocol counts as published: overlapping windows, and all models.
    """
    windows_hz = RATE_HZ / OVERLAPPING_WINDOWS.stride_frames
    live = InversionSettings()
    return {
        "published": windows_hz * OVERLAPPING_WINDOWS.steps * n_models,
        "published_one_model": windows_hz * OVERLAPPING_WINDOWS.steps,
        "live": STEPS_PER_HOP * RATE_HZ / live.hop_frames,
    }


# -- one function per method: item -> movies by name -----------------------------------

_Movies = dict[str, Array]


def _run_live(
    item: BenchmarkItem,
    subject: Subject,
    clip: Clip,
    settings: InversionSettings | None = None,
) -> _Movies:
    encoder = subject.encoders[item.model]
    replay = reconstruct_live(
        encoder, clip.target, settings=settings, lags_frames=LAGS_FRAMES
    )
    by_lag = {f"lag{lag}": movie for lag, movie in replay.movies.items()}
    return {**by_lag, "movie": replay.final, "predicted": replay.predicted_activity}


def _run_fixed_prior(item: BenchmarkItem, subject: Subject, clip: Clip) -> _Movies:
    """The prior keeps the contrast of natural movies."""
    return _run_live(item, subject, clip, InversionSettings(adaptive_prior=False))


def _run_null(item: BenchmarkItem, subject: Subject, clip: Clip) -> _Movies:
    """Every neuron gets the activity of another one."""
    rng = np.random.default_rng([item.clip, 1])
    order = rng.permutation(clip.target.activity.shape[1])
    permuted = _replace_activity(clip, clip.target.activity[:, order])
    return _run_live(item, subject, replace(clip, target=permuted))


def _run_scrambled(item: BenchmarkItem, subject: Subject, clip: Clip) -> _Movies:
    """Frames of activity come from other clips at random, so that time is lost."""
    rng = np.random.default_rng([item.clip, 2])
    others = [other.target.activity for other in subject.test if other is not clip]
    drawn = rng.choice(np.concatenate(others), len(clip.target))
    return _run_live(
        item, subject, replace(clip, target=_replace_activity(clip, drawn))
    )


def _run_shuffled(item: BenchmarkItem, subject: Subject, clip: Clip) -> _Movies:
    """Frames of activity in random order; what does not change in a clip survives."""
    order = np.random.default_rng([item.clip, 2]).permutation(len(clip.target))
    shuffled = _replace_activity(clip, clip.target.activity[order])
    return _run_live(item, subject, replace(clip, target=shuffled))


def _replace_activity(clip: Clip, activity: Array) -> InversionTarget:
    return replace(clip.target, activity=activity)


def _run_map(item: BenchmarkItem, subject: Subject, clip: Clip) -> _Movies:
    settled = reconstruct_map(subject.encoders[item.model], clip.target)
    return {"movie": settled.movie}


def _run_published(
    item: BenchmarkItem,
    subject: Subject,
    clip: Clip,
    settings: PublishedSettings = ADJACENT_WINDOWS,
) -> _Movies:
    rates = CompactPixelEncoder(subject.encoders[item.model])
    state = item.path.with_suffix(".state")
    item.path.parent.mkdir(exist_ok=True)
    done = reconstruct_published([rates], clip.target, settings, state=state)
    for left in item.path.parent.glob(f"{item.path.stem}.*.safetensors"):
        left.unlink()
    return {"movie": done.movies[0]}


def _run_overlapping(item: BenchmarkItem, subject: Subject, clip: Clip) -> _Movies:
    return _run_published(item, subject, clip, OVERLAPPING_WINDOWS)


_METHODS: dict[str, Callable[[BenchmarkItem, Subject, Clip], _Movies]] = {
    "live": _run_live,
    "cross": _run_live,
    "unusual": _run_live,
    "unusual_held": _run_fixed_prior,
    "null": _run_null,
    "scrambled": _run_scrambled,
    "shuffled": _run_shuffled,
    "map": _run_map,
    "published": _run_published,
    "stride": _run_overlapping,
}
_DECODERS: dict[str, Callable[[Sequence[Clip]], MovieDecoder]] = {
    "ridge": fit_ridge,
    "cnn": fit_convolutional,
}


@lru_cache
def _load_subject(plan: Plan, cache: Path) -> Subject:
    return mice.prepare(plan, cache, Progress(disable=True))
