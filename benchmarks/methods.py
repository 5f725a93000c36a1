"""Runs every method on every clip once, and stores each result in the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import simulated_mice
import torch
from rich.progress import Progress
from simulated_mice import MouseData, MouseSettings

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
_UNUSUAL_METHODS = "unusual", "unusual_held"
HOP_MS = 1e3 * InversionSettings().hop_frames / RATE_HZ


@dataclass(frozen=True)
class BenchmarkItem:
    """One reconstruction to do.

    clip: index among the test clips; None = all at once. model: index of the encoder.
    source: the mouse whose activity is used; None = the mouse of the encoder.
    """

    cache: Path
    mouse: MouseSettings
    method: str
    clip: int | None
    model: int = 0
    source: MouseSettings | None = None

    @property
    def clip_index(self) -> int:
        """Index of its clip; only for an item of one clip."""
        assert self.clip is not None
        return self.clip

    @property
    def path(self) -> Path:
        """File of the movies: by name, float32 (T, 36, 64) of each clip."""
        name = f"{self.method}-clip{self.clip}-model{self.model}.npz"
        return self.cache / self.mouse.name / "movies" / name


def list_items(
    mice: Sequence[MouseData], cache: Path, n_ensemble_clips: int
) -> list[BenchmarkItem]:
    """Return all items; those that take longest come last.

    n_ensemble_clips: number of clips on which all models of a mouse run the published
    protocol.
    """
    first, other = mice[0].settings, mice[1].settings
    clips = range(first.n_clips)
    items = [
        BenchmarkItem(cache, mouse.settings, "live", clip)
        for mouse in mice
        if mouse.encoders
        for clip in range(mouse.settings.n_clips)
    ]
    items += [BenchmarkItem(cache, first, method, None) for method in ("ridge", "cnn")]
    items += [
        BenchmarkItem(cache, first, method, clip)
        for method in _UNUSUAL_METHODS
        for clip in range(len(simulated_mice.UNUSUAL))
    ]
    for method in ("null", "scrambled", "shuffled", "map"):
        items += [BenchmarkItem(cache, first, method, clip) for clip in clips]
    items += [
        BenchmarkItem(cache, first, "cross", clip, source=other) for clip in clips
    ]
    items += [
        BenchmarkItem(cache, mouse.settings, "published", clip, model)
        for mouse in mice
        for clip in range(mouse.settings.n_published or mouse.settings.n_clips)
        for model in range(mouse.settings.n_models)
        if not model or clip < n_ensemble_clips
    ]
    return [*items, BenchmarkItem(cache, first, "stride", 0)]


def run_item(item: BenchmarkItem) -> str:
    """Reconstruct and store an item; returns a text about it for the progress bar."""
    torch.set_num_threads(1)
    mouse = _load_mouse(item.mouse, item.cache)
    source = mouse if item.source is None else _load_mouse(item.source, item.cache)
    if item.clip is None:
        decoder = _DECODERS[item.method](mouse.training)
        movies = {
            name: np.stack([decoder.decode(clip.target) for clip in clips])
            for name, clips in (("movie", mouse.test), ("unusual", mouse.unusual))
        }
    else:
        clips = mouse.unusual if item.method in _UNUSUAL_METHODS else source.test
        movies = _METHODS[item.method](item, mouse, clips[item.clip])
    item.path.parent.mkdir(exist_ok=True)
    temporary = item.path.with_suffix(".part")
    with temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **movies)
    temporary.replace(item.path)
    return f"{item.mouse.name}: {item.method}, clip {item.clip}, model {item.model}"


def load_movies(items: Sequence[BenchmarkItem], name: str = "movie") -> Array:
    """Return stored movies (items, T, 36, 64)."""
    movies = []
    for item in items:
        with np.load(item.path) as stored:
            movies.append(stored[name])
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
    mouse: MouseData,
    clip: Clip,
    settings: InversionSettings | None = None,
) -> _Movies:
    encoder = mouse.encoders[item.model]
    replay = reconstruct_live(
        encoder, clip.target, settings=settings, lags_frames=LAGS_FRAMES
    )
    by_lag = {f"lag{lag}": movie for lag, movie in replay.movies.items()}
    return {**by_lag, "movie": replay.final, "predicted": replay.predicted_activity}


def _run_fixed_prior(item: BenchmarkItem, mouse: MouseData, clip: Clip) -> _Movies:
    """The prior keeps the contrast of natural movies."""
    return _run_live(item, mouse, clip, InversionSettings(adaptive_prior=False))


def _run_null(item: BenchmarkItem, mouse: MouseData, clip: Clip) -> _Movies:
    """Every neuron gets the activity of another one."""
    rng = np.random.default_rng([item.clip_index, 1])
    order = rng.permutation(clip.target.activity.shape[1])
    permuted = _replace_activity(clip, clip.target.activity[:, order])
    return _run_live(item, mouse, replace(clip, target=permuted))


def _run_scrambled(item: BenchmarkItem, mouse: MouseData, clip: Clip) -> _Movies:
    """Frames of activity come from other clips at random, so that time is lost."""
    rng = np.random.default_rng([item.clip_index, 2])
    others = [other.target.activity for other in mouse.test if other is not clip]
    activity = rng.choice(np.concatenate(others), len(clip.target))
    return _run_live(
        item, mouse, replace(clip, target=_replace_activity(clip, activity))
    )


def _run_shuffled(item: BenchmarkItem, mouse: MouseData, clip: Clip) -> _Movies:
    """Frames of activity in random order; what does not change in a clip survives."""
    order = np.random.default_rng([item.clip_index, 2]).permutation(len(clip.target))
    shuffled = _replace_activity(clip, clip.target.activity[order])
    return _run_live(item, mouse, replace(clip, target=shuffled))


def _replace_activity(clip: Clip, activity: Array) -> InversionTarget:
    return replace(clip.target, activity=activity)


def _run_map(item: BenchmarkItem, mouse: MouseData, clip: Clip) -> _Movies:
    result = reconstruct_map(mouse.encoders[item.model], clip.target)
    return {"movie": result.movie}


def _run_published(
    item: BenchmarkItem,
    mouse: MouseData,
    clip: Clip,
    settings: PublishedSettings = ADJACENT_WINDOWS,
) -> _Movies:
    rates = CompactPixelEncoder(mouse.encoders[item.model])
    state = item.path.with_suffix(".state")
    item.path.parent.mkdir(exist_ok=True)
    result = reconstruct_published([rates], clip.target, settings, state=state)
    for state_file in item.path.parent.glob(f"{item.path.stem}.*.safetensors"):
        state_file.unlink()
    return {"movie": result.movies[0]}


def _run_overlapping(item: BenchmarkItem, mouse: MouseData, clip: Clip) -> _Movies:
    return _run_published(item, mouse, clip, OVERLAPPING_WINDOWS)


_METHODS: dict[str, Callable[[BenchmarkItem, MouseData, Clip], _Movies]] = {
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
def _load_mouse(settings: MouseSettings, cache: Path) -> MouseData:
    return simulated_mice.prepare_mouse(settings, cache, Progress(disable=True))
