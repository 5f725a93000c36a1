"""Every method on every clip: done once, each in a file of its own in the cache."""

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

from rtrecon.config import InvertSettings
from rtrecon.core.types import Array
from rtrecon.inversion.offline.clips import Clip
from rtrecon.inversion.offline.compact import (
    STEPS_PER_HOP,
    reconstruct_live,
    reconstruct_map,
)
from rtrecon.inversion.offline.convolutional_decoder import fit_convolutional
from rtrecon.inversion.offline.pixel_rates import CompactRates
from rtrecon.inversion.offline.published_protocol import reconstruct_published
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.ridge_decoder import Decoder, fit_ridge
from rtrecon.inversion.offline.target import Target
from rtrecon.simulate.movie import RATE_HZ

# Windows side by side: a quarter of the published passes and the same movie (shown by
# `stride` in the figures, where one clip is done both ways).
BESIDE = PublishedSettings(stride_frames=32)
OVERLAPPING = PublishedSettings()
LAGS_FRAMES = (3, 6, 12, 24)
_OF_UNUSUAL = "unusual", "unusual_held"
HOP_MS = 1e3 * InvertSettings().hop_frames / RATE_HZ


@dataclass(frozen=True)
class Item:
    """What is to be done. clip: its place among the test clips; None for all at once.

    model: place of the encoder. source: the mouse whose activity it is, mostly the
    encoder's own.
    """

    cache: Path
    plan: Plan
    method: str
    clip: int | None
    model: int = 0
    source: Plan | None = None

    @property
    def path(self) -> Path:
        """Where the movies are kept: by name, float32 (T, 36, 64) of each clip."""
        name = f"{self.method}-clip{self.clip}-model{self.model}.npz"
        return self.cache / self.plan.name / "movies" / name


def work(subjects: Sequence[Subject], cache: Path, n_ensemble_clips: int) -> list[Item]:
    """List all there is to do; what takes longest comes last.

    n_ensemble_clips: that the published protocol is run on with all models of a mouse.
    """
    own, other = subjects[0].plan, subjects[1].plan
    clips = range(own.n_clips)
    items = [
        Item(cache, subject.plan, "live", clip)
        for subject in subjects
        if subject.encoders
        for clip in range(subject.plan.n_clips)
    ]
    items += [Item(cache, own, method, None) for method in ("ridge", "cnn")]
    items += [
        Item(cache, own, method, clip)
        for method in _OF_UNUSUAL
        for clip in range(len(mice.UNUSUAL))
    ]
    for method in ("null", "scrambled", "shuffled", "map"):
        items += [Item(cache, own, method, clip) for clip in clips]
    items += [Item(cache, own, "cross", clip, source=other) for clip in clips]
    items += [
        Item(cache, subject.plan, "published", clip, model)
        for subject in subjects
        for clip in range(subject.plan.n_published or subject.plan.n_clips)
        for model in range(subject.plan.n_models)
        if not model or clip < n_ensemble_clips
    ]
    return [*items, Item(cache, own, "stride", 0)]


def do(item: Item) -> str:
    """Reconstruct and keep; returns a word on what was done."""
    torch.set_num_threads(1)
    subject = _subject(item.plan, item.cache)
    source = subject if item.source is None else _subject(item.source, item.cache)
    if item.clip is None:
        decoder = _DECODERS[item.method](subject.training)
        movies = {
            name: np.stack([decoder.movie(clip.target) for clip in clips])
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


def kept(items: Sequence[Item], name: str = "movie") -> Array:
    """Return what was made, (items, T, 36, 64)."""
    movies = []
    for item in items:
        with np.load(item.path) as done:
            movies.append(done[name])
    return np.stack(movies)


def passes_per_second(n_models: int) -> dict[str, float]:
    """Encoder passes, forward and back through one window, per second of a long movie.

    The published protocol's as published: overlapping windows, and all models.
    """
    windows_hz = RATE_HZ / OVERLAPPING.stride_frames
    live = InvertSettings()
    return {
        "published": windows_hz * OVERLAPPING.steps * n_models,
        "published_one_model": windows_hz * OVERLAPPING.steps,
        "live": STEPS_PER_HOP * RATE_HZ / live.hop_frames,
    }


# -- one function per method: what to do -> movies by name -----------------------------

_Movies = dict[str, Array]


def _live(
    item: Item, subject: Subject, clip: Clip, settings: InvertSettings | None = None
) -> _Movies:
    encoder = subject.encoders[item.model]
    replay = reconstruct_live(
        encoder, clip.target, settings=settings, lags_frames=LAGS_FRAMES
    )
    by_lag = {f"lag{lag}": movie for lag, movie in replay.movies.items()}
    return {**by_lag, "movie": replay.final, "predicted": replay.predicted}


def _held(item: Item, subject: Subject, clip: Clip) -> _Movies:
    """Whatever is shown is taken to be as strong as movies are."""
    return _live(item, subject, clip, InvertSettings(adaptive_prior=False))


def _null(item: Item, subject: Subject, clip: Clip) -> _Movies:
    """Every neuron given another's activity."""
    rng = np.random.default_rng([item.clip, 1])
    order = rng.permutation(clip.target.activity.shape[1])
    permuted = _with(clip, clip.target.activity[:, order])
    return _live(item, subject, replace(clip, target=permuted))


def _scrambled(item: Item, subject: Subject, clip: Clip) -> _Movies:
    """Frames of the activity from anywhere in the session: when is gone."""
    rng = np.random.default_rng([item.clip, 2])
    others = [other.target.activity for other in subject.test if other is not clip]
    drawn = rng.choice(np.concatenate(others), len(clip.target))
    return _live(item, subject, replace(clip, target=_with(clip, drawn)))


def _shuffled(item: Item, subject: Subject, clip: Clip) -> _Movies:
    """Frames of the activity in any order; what stood still all along survives."""
    order = np.random.default_rng([item.clip, 2]).permutation(len(clip.target))
    shuffled = _with(clip, clip.target.activity[order])
    return _live(item, subject, replace(clip, target=shuffled))


def _with(clip: Clip, activity: Array) -> Target:
    return replace(clip.target, activity=activity)


def _map(item: Item, subject: Subject, clip: Clip) -> _Movies:
    settled = reconstruct_map(subject.encoders[item.model], clip.target)
    return {"movie": settled.movie}


def _published(
    item: Item, subject: Subject, clip: Clip, settings: PublishedSettings = BESIDE
) -> _Movies:
    rates = CompactRates(subject.encoders[item.model])
    state = item.path.with_suffix(".state")
    item.path.parent.mkdir(exist_ok=True)
    done = reconstruct_published([rates], clip.target, settings, state=state)
    for left in item.path.parent.glob(f"{item.path.stem}.*.safetensors"):
        left.unlink()
    return {"movie": done.movies[0]}


def _overlapping(item: Item, subject: Subject, clip: Clip) -> _Movies:
    return _published(item, subject, clip, OVERLAPPING)


_METHODS: dict[str, Callable[[Item, Subject, Clip], _Movies]] = {
    "live": _live,
    "cross": _live,
    "unusual": _live,
    "unusual_held": _held,
    "null": _null,
    "scrambled": _scrambled,
    "shuffled": _shuffled,
    "map": _map,
    "published": _published,
    "stride": _overlapping,
}
_DECODERS: dict[str, Callable[[Sequence[Clip]], Decoder]] = {
    "ridge": fit_ridge,
    "cnn": fit_convolutional,
}


@lru_cache
def _subject(plan: Plan, cache: Path) -> Subject:
    return mice.prepare(plan, cache, Progress(disable=True))
