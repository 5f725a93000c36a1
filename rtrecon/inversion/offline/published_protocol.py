"""The published protocol, for comparison: one movie per encoder, averaged, smoothed.

Bauer, Margrie & Clopath, "Movie reconstruction from mouse visual cortex activity",
eLife 2026 (14:RP105081). About an hour of a GPU per encoder for ten seconds of movie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.core.types import Array
from rtrecon.encoder.base import Encoder
from rtrecon.inversion.offline.pixel_descent import PixelDescent
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.target import InversionTarget

SMOOTHING = 0.5  # frames and px, as published
_SAVE_EVERY_STEPS = 50  # steps


@dataclass(frozen=True)
class PublishedResult:
    """Optimised movies, float32 (m, T, 36, 64), one per encoder.

    With `ensemble_gradients` there is one movie. n_passes: forward and backward passes
    of an encoder through one window, in all.
    """

    movies: Array
    n_passes: int

    def mean_movie(self, smoothing: float = SMOOTHING) -> Array:
        """Return the mean (T, 36, 64), smoothed in time and space (s.d.)."""
        mean = np.asarray(self.movies.mean(0), np.float32)
        return gaussian_filter(mean, smoothing) if smoothing else mean


def reconstruct_published(
    encoders: Sequence[Encoder],
    target: InversionTarget,
    settings: PublishedSettings | None = None,
    *,
    mask: Array | None = None,
    state: Path | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> PublishedResult:
    """Reconstruct a clip by the published protocol.

    mask: (36, 64) transparency mask; None = every pixel moves. state: a file name;
    files with this name and a suffix hold the state, written every few steps; if they
    exist, the descent resumes from them. UserError if they belong to another
    reconstruction.
    """
    settings = settings or PublishedSettings()
    teams = [encoders] if settings.ensemble_gradients else [[e] for e in encoders]
    movies, passes = [], 0
    for number, team in enumerate(teams):
        descent = PixelDescent(team, target, mask, settings)
        state_file = state and state.with_name(f"{state.name}.{number}.safetensors")
        stage = f"movie {number + 1} of {len(teams)}"
        _run_descent(descent, settings.steps, state_file, partial(on_progress, stage))
        movies.append(descent.current_movie())
        passes += descent.n_passes
    return PublishedResult(np.stack(movies), passes)


def _run_descent(
    descent: PixelDescent,
    n_steps: int,
    state: Path | None,
    report: Callable[[float, str], None],
) -> None:
    if state is not None and state.is_file():
        descent.resume(state)
    while descent.n_steps < n_steps:
        descent.step()
        if state is not None and descent.n_steps % _SAVE_EVERY_STEPS == 0:
            descent.save(state)
        word = f"step {descent.n_steps}, {descent.windows_at_once} windows at a time"
        report(descent.n_steps / n_steps, word)
    if state is not None:
        descent.save(state)
