"""The live method without the clock: replayed hop by hop, or a whole clip at once.

Both are deterministic under a seed and take the steps that they are told to take, so
that figures can be repeated; a replay gives the movie at every age of its frames, as a
recorded session would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from rtrecon.config import InvertSettings
from rtrecon.core.types import Array
from rtrecon.encoder.checkpoint import Checkpoint
from rtrecon.encoder.spectrum import SHAPE, spectrum
from rtrecon.inversion.live.inverter import LiveInverter, Problem
from rtrecon.inversion.offline.pixel_rates import scaled
from rtrecon.inversion.offline.target import Report, Target, silent

STEPS_PER_HOP = 13  # what two cores have time for, see README
LAGS_FRAMES = (3, 6, 12, 24)
MAP_STEPS = 240
# Of the data's weight, before the whole of it: what is coarse and certain comes first.
# A gray movie under the full weight at once ends in a worse minimum.
_SHARES = (0.03, 0.1, 0.3)
_EVERY_STEPS = 20


@dataclass(frozen=True)
class Replay:
    """What a live inversion would have shown.

    movies: by lag in frames, float32 (T, 36, 64): the clip as it stood when each frame
    was that old, NaN where there was nothing yet; the largest lag is the final movie.
    predicted: (T, n) activity that the final movie would cause. passes: of the encoder
    through one window, forward and back.
    """

    movies: dict[int, Array]
    predicted: Array
    passes: int

    @property
    def final(self) -> Array:
        """The movie once frames had left the window."""
        return self.movies[max(self.movies)]


@dataclass(frozen=True)
class Settled:
    """The likeliest movie (T, 36, 64), float32, and how the objective came down.

    objective: of every step that was taken under the data's full weight. passes: of the
    encoder through the whole clip, forward and back.
    """

    movie: Array
    objective: list[float]
    passes: int


def reconstruct_live(
    checkpoint: Checkpoint,
    target: Target,
    steps_per_hop: int = STEPS_PER_HOP,
    settings: InvertSettings | None = None,
    *,
    lags_frames: Sequence[int] = LAGS_FRAMES,
    report: Report = silent,
) -> Replay:
    """Replay a clip to the live inversion, with as many steps per hop as told.

    Frames after the last whole hop are left out: they are NaN. A neuron that is not
    kept never enters, but is predicted.
    """
    settings = settings or InvertSettings()
    window, hop = settings.window_frames, settings.hop_frames
    inverter = LiveInverter(Problem.of(checkpoint, settings), window, settings.seed)
    activity, behavior = target.recorded(), _told(checkpoint, target)
    blank = np.full((len(target), *SHAPE), np.nan, np.float32)
    movies = {lag: blank.copy() for lag in (*lags_frames, window - 1)}
    predicted = np.full(activity.shape, np.nan, np.float32)
    low, passes = spectrum(), 0
    for start in range(0, len(target) - hop + 1, hop):
        stop = start + hop
        inverter.advance(activity[start:stop], behavior[start:stop])
        for step in range(steps_per_hop):
            inverter.step(step / max(1, steps_per_hop - 1))
        passes += steps_per_hop
        shown = low.to_pixels(inverter.frames())
        for lag, movie in movies.items():
            _lay(movie, shown[-1 - lag :], stop)
        _lay(predicted, inverter.predict().numpy(), stop)
        done = stop / len(target)
        _pass_on(inverter.notes, "replaying", done, report)
        report("replaying", done, f"frame {stop} of {len(target)}")
    return Replay(movies, predicted, passes)


def reconstruct_map(
    checkpoint: Checkpoint,
    target: Target,
    steps: int = MAP_STEPS,
    settings: InvertSettings | None = None,
    report: Report = silent,
) -> Settled:
    """Return the likeliest movie of a whole clip: one window, and steps until it rests.

    Prior, likelihood and steps are those of the live inversion, so that what differs is
    the hurry alone. Half of the steps come before the data have their full weight.
    """
    settings = settings or InvertSettings()
    inverter = _whole(checkpoint, target, 1.0, settings)
    objective, taken = list[float | Tensor](), 0
    for share, n_steps in _stages(steps):
        z, inverter = inverter.z, _whole(checkpoint, target, share, settings)
        inverter.z = z
        objective = []
        for step in range(n_steps):
            if share == 1.0 and step % STEPS_PER_HOP == 0:
                inverter.learn()  # as often as live
            objective.append(inverter.step(step / max(1, n_steps - 1)))
            if taken % _EVERY_STEPS == 0:
                word = f"objective {objective[-1]:.0f} at {share:g} of the weight"
                _pass_on(inverter.notes, "inverting", taken / steps, report)
                report("inverting", taken / steps, word)
            taken += 1
    report("inverting", 1.0, f"{steps} steps")
    movie = spectrum().to_pixels(inverter.frames())
    return Settled(movie, [float(value) for value in objective], taken)


def _stages(steps: int) -> list[tuple[float, int]]:
    """Return shares of the data's weight, and how many steps to take under each."""
    each = steps // (2 * len(_SHARES))
    lighter = [(share, each) for share in _SHARES]
    return [*lighter, (1.0, steps - each * len(lighter))]


def _whole(
    checkpoint: Checkpoint, target: Target, share: float, settings: InvertSettings
) -> LiveInverter:
    """Return an inversion with one window, and the whole clip in it."""
    problem = Problem.of(checkpoint, settings)
    lighter = replace(problem, weight=share * problem.weight)
    inverter = LiveInverter(lighter, len(target), settings.seed)
    inverter.advance(target.recorded(), _told(checkpoint, target))
    return inverter


def _pass_on(notes: list[str], stage: str, done: float, report: Report) -> None:
    """Report what an inversion noted, once."""
    for note in notes:
        report(stage, done, note)
    notes.clear()


def _told(checkpoint: Checkpoint, target: Target) -> Tensor:
    return scaled(checkpoint.calibration, target.behavior_tensor())


def _lay(whole: Array, window: Array, stop: int) -> None:
    """Put a window's frames, newest last, where they end before frame `stop`."""
    start = max(0, stop - len(window))
    whole[start:stop] = window[len(window) - (stop - start) :]
