"""The published protocol, for comparison: optimise for each encoder, average, smooth.

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

from rtrecon.core.types import Array
from rtrecon.encoder.protocol import Encoder
from rtrecon.inversion.offline.pixel_descent import Descent
from rtrecon.inversion.offline.published_settings import PublishedSettings
from rtrecon.inversion.offline.target import Report, Target, silent

SMOOTHING = 0.5  # frames and px, as published
_SAVE_EVERY = 50  # steps


@dataclass(frozen=True)
class Published:
    """Movies as they were optimised, float32 (m, T, 36, 64), one per encoder.

    With `ensemble_gradients` there is one movie. passes: of an encoder through one
    window, forward and back, in all.
    """

    movies: Array
    passes: int

    def movie(self, smoothing: float = SMOOTHING) -> Array:
        """Return the mean (T, 36, 64), smoothed in time and space (s.d.)."""
        mean = np.asarray(self.movies.mean(0), np.float32)
        return gaussian_filter(mean, smoothing) if smoothing else mean


def reconstruct_published(
    encoders: Sequence[Encoder],
    target: Target,
    settings: PublishedSettings | None = None,
    *,
    mask: Array | None = None,
    state: Path | None = None,
    report: Report = silent,
) -> Published:
    """Reconstruct a clip by the published protocol.

    mask: (36, 64) transparency mask; None lets every pixel move. state: a file name;
    beside it, what was done so far is kept every few steps, and gone on from. UserError
    if what is there belongs to another reconstruction.
    """
    settings = settings or PublishedSettings()
    teams = [encoders] if settings.ensemble_gradients else [[e] for e in encoders]
    movies, passes = [], 0
    for number, team in enumerate(teams):
        descent = Descent(team, target, mask, settings)
        place = state and state.with_name(f"{state.name}.{number}.safetensors")
        stage = f"movie {number + 1} of {len(teams)}"
        _descend(descent, settings.steps, place, partial(report, stage))
        movies.append(descent.movie())
        passes += descent.passes
    return Published(np.stack(movies), passes)


def _descend(
    descent: Descent,
    n_steps: int,
    state: Path | None,
    report: Callable[[float, str], None],
) -> None:
    if state is not None and state.is_file():
        descent.resume(state)
    while descent.steps < n_steps:
        descent.step()
        if state is not None and descent.steps % _SAVE_EVERY == 0:
            descent.save(state)
        word = f"step {descent.steps}, {descent.windows_at_once} windows at a time"
        report(descent.steps / n_steps, word)
    if state is not None:
        descent.save(state)
