"""The live method offline: a clip replayed hop by hop, or inverted as a whole.

Both take a given number of steps and are deterministic under a seed, so that results
can be repeated. A replay returns the movie at every age of its frames, as a live
session would have shown it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from rtrecon.config import InversionSettings
from rtrecon.core.progress import ProgressCallback, ignore_progress
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.inversion.live.map_inversion import MapInversion
from rtrecon.inversion.objective import InverseProblem
from rtrecon.inversion.offline.pixel_rates import standardize_behavior
from rtrecon.inversion.offline.target import InversionTarget
from rtrecon.inversion.space_settings import make_settings

STEPS_PER_HOP = 13  # as many as two CPU cores have time for in a live session
MAP_STEPS = 240
# The data's weight rises in stages, so that the movie's coarse structure comes first.
# From a gray movie, the full weight at once ends in a worse minimum.
_WEIGHT_FRACTIONS = (0.03, 0.1, 0.3)
_REPORT_EVERY_STEPS = 20


@dataclass(frozen=True)
class LiveResult:
    """The movies that a live inversion would have shown.

    movies: by lag in frames, float32 (T, height, width): each frame as it was when it
    was that old, NaN where there was no movie yet; the largest lag is the final movie.
    predicted_activity: (T, n), what the final movie would cause. n_passes: forward and
    backward passes of the encoder through one window.
    """

    movies: dict[int, Array]
    predicted_activity: Array
    n_passes: int

    @property
    def final(self) -> Array:
        """The movie of frames as they left the window."""
        return self.movies[max(self.movies)]


@dataclass(frozen=True)
class MapResult:
    """The most probable movie of a clip, float32 (T, height, width).

    objective: before each step that had the data's full weight. n_passes: forward and
    backward passes of the encoder through the whole clip.
    """

    movie: Array
    objective: list[float]
    n_passes: int


def reconstruct_live(
    checkpoint: Checkpoint,
    target: InversionTarget,
    steps_per_hop: int = STEPS_PER_HOP,
    settings: InversionSettings | None = None,
    *,
    lags_frames: Sequence[int] | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> LiveResult:
    """Replay a clip to the live inversion, with `steps_per_hop` steps at every hop.

    lags_frames: None = those of the stimulus space. Frames after the last whole hop are
    NaN. Neurons outside `target.used_neurons` do not influence the movie, but their
    activity is predicted.
    """
    settings = settings or make_settings(checkpoint.space)
    window, hop = settings.window_frames, settings.hop_frames
    problem = InverseProblem.from_checkpoint(checkpoint, settings)
    inversion = MapInversion(problem, window, settings.seed)
    activity = target.activity_tensor()
    behavior = _standardize_behavior(checkpoint, target)
    blank = np.full((len(target), *checkpoint.space.shape), np.nan, np.float32)
    if lags_frames is None:
        lags_frames = checkpoint.space.lags_frames
    movies = {lag: blank.copy() for lag in (*lags_frames, window - 1)}
    predicted = np.full(activity.shape, np.nan, np.float32)
    n_passes = 0
    for start in range(0, len(target) - hop + 1, hop):
        stop = start + hop
        inversion.push_activity(activity[start:stop], behavior[start:stop])
        for step in range(steps_per_hop):
            inversion.step(step / max(1, steps_per_hop - 1))
        n_passes += steps_per_hop
        window_movie = inversion.movie()
        for lag, movie in movies.items():
            _paste_window(movie, window_movie[-1 - lag :], stop)
        _paste_window(predicted, inversion.predict_activity().numpy(), stop)
        fraction = stop / len(target)
        _report_notices(inversion.notices, "replaying", fraction, on_progress)
        on_progress("replaying", fraction, f"frame {stop} of {len(target)}")
    return LiveResult(movies, predicted, n_passes)


def reconstruct_map(
    checkpoint: Checkpoint,
    target: InversionTarget,
    steps: int = MAP_STEPS,
    settings: InversionSettings | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> MapResult:
    """Return the most probable movie of a whole clip, inverted as one window.

    Prior, likelihood and optimiser are those of the live inversion; only the number of
    steps differs. Half of the steps come before the data have their full weight.
    """
    settings = settings or make_settings(checkpoint.space)
    inversion = _create_inversion(checkpoint, target, 1.0, settings)
    objective, taken = list[float | Tensor](), 0
    for fraction, n_steps in _weight_schedule(steps):
        z = inversion.z
        inversion = _create_inversion(checkpoint, target, fraction, settings)
        inversion.z = z
        objective = []
        for step in range(n_steps):
            if fraction == 1.0 and step % STEPS_PER_HOP == 0:
                inversion.update_prior()  # as often as in a live session
            objective.append(inversion.step(step / max(1, n_steps - 1)))
            if taken % _REPORT_EVERY_STEPS == 0:
                done = taken / steps
                _report_notices(inversion.notices, "inverting", done, on_progress)
                detail = f"objective {objective[-1]:.0f} at {fraction:g} of the weight"
                on_progress("inverting", done, detail)
            taken += 1
    on_progress("inverting", 1.0, f"{steps} steps")
    return MapResult(inversion.movie(), [float(value) for value in objective], taken)


def _weight_schedule(steps: int) -> list[tuple[float, int]]:
    """Return fractions of the data's weight, and the number of steps under each."""
    each = steps // (2 * len(_WEIGHT_FRACTIONS))
    lighter = [(fraction, each) for fraction in _WEIGHT_FRACTIONS]
    return [*lighter, (1.0, steps - each * len(lighter))]


def _create_inversion(
    checkpoint: Checkpoint,
    target: InversionTarget,
    weight_fraction: float,
    settings: InversionSettings,
) -> MapInversion:
    """Return an inversion whose only window holds the whole clip."""
    problem = InverseProblem.from_checkpoint(checkpoint, settings)
    lighter = replace(problem, weight=weight_fraction * problem.weight)
    inversion = MapInversion(lighter, len(target), settings.seed)
    inversion.push_activity(
        target.activity_tensor(), _standardize_behavior(checkpoint, target)
    )
    return inversion


def _report_notices(
    notices: list[str], stage: str, fraction: float, on_progress: ProgressCallback
) -> None:
    """Report an inversion's notices, and clear them."""
    for notice in notices:
        on_progress(stage, fraction, notice)
    notices.clear()


def _standardize_behavior(checkpoint: Checkpoint, target: InversionTarget) -> Tensor:
    return standardize_behavior(checkpoint.calibration, target.behavior_tensor())


def _paste_window(whole: Array, window: Array, stop: int) -> None:
    """Copy a window's frames to where the newest is the frame before `stop`."""
    start = max(0, stop - len(window))
    whole[start:stop] = window[len(window) - (stop - start) :]
