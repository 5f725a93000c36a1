"""A simulated session as a Sensorium 2023 folder: trials, tiers, repeats and all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium.trial import Trial
from rtrecon.datasets.sensorium.write import Neurons, write_folder
from rtrecon.rois.roi_set import RoiSet
from rtrecon.simulate.behavior import slow_noise
from rtrecon.simulate.movie import RATE_HZ, natural_movie
from rtrecon.simulate.session import Session, World, make_session

_UM_PER_PX = 14 / 12  # the simulated field's somata are 12 px, about 14 um, apart
_TOP_UM, _PLANE_UM = 200, 25  # depths of the recorded planes
# Of the pupil in the camera's picture: the mice's usual place, and how far it wanders.
_PUPIL_AT_PX, _PUPIL_SD_PX, _PUPIL_TAU_S = (150.0, 145.0), 6.0, 2.0


@dataclass(frozen=True)
class Program:
    """What is shown, each trial a clip, in random order; the seed decides all.

    Each oracle movie is shown `repeats` times. Withheld trials are of tier
    `live_test_main` and written without responses.
    """

    train: int = 60
    oracle_movies: int = 6
    repeats: int = 10
    withheld: int = 0
    trial_frames: int = 300
    seed: int = 0

    def __len__(self) -> int:
        return self.train + self.oracle_movies * self.repeats + self.withheld

    def order(self) -> list[tuple[str, int]]:
        """Return each trial's tier and clip, as they are shown."""
        train = [("train", clip) for clip in range(self.train)]
        oracle = [
            ("oracle", self.train + movie)
            for movie in range(self.oracle_movies)
            for _ in range(self.repeats)
        ]
        first = self.train + self.oracle_movies
        withheld = [("live_test_main", first + clip) for clip in range(self.withheld)]
        trials = train + oracle + withheld
        shuffled = np.random.default_rng([self.seed, 11]).permutation(len(trials))
        return [trials[place] for place in shuffled]


def show(world: World, program: Program) -> Session:
    """Show the program's trials to a simulated mouse, one after the other."""
    if len(program) < 1 or program.trial_frames < 1:
        raise UserError("a program without trials or frames shows nothing; give some")
    n_clips = program.train + program.oracle_movies + program.withheld
    n_frames = program.trial_frames
    clips = natural_movie(n_clips * n_frames, program.seed, n_frames)
    each = clips.reshape(n_clips, n_frames, *clips.shape[1:])
    movie = each[[clip for _, clip in program.order()]].reshape(-1, *clips.shape[1:])
    return make_session(world, movie, f"program {program.seed}", program.seed)


def write_session(
    path: Path, session: Session, program: Program, activity: Array
) -> None:
    """Write a session that `show` made. activity: (T, n), whatever was read of it."""
    write_folder(
        path,
        _neurons(session.recording.field.masks),
        program.trial_frames,
        _trials(session, program, activity),
    )


def _trials(
    session: Session, program: Program, activity: Array
) -> Iterator[tuple[str, Trial]]:
    behavior = _behavior(session, program.seed)
    for place, (tier, _) in enumerate(program.order()):
        own = slice(place * program.trial_frames, (place + 1) * program.trial_frames)
        told = None if tier == "live_test_main" else activity[own].astype(np.float32)
        yield tier, Trial(session.movie[own].astype(np.float32), behavior[own], told)


def _behavior(session: Session, seed: int) -> Array:
    """Return (T, 4): dilation and speed as simulated, and a pupil that wanders."""
    rng = np.random.default_rng([seed, 13])
    wander = slow_noise((len(session), 2), _PUPIL_TAU_S * RATE_HZ, rng)
    center = np.array(_PUPIL_AT_PX, np.float32) + _PUPIL_SD_PX * wander
    known = session.behavior
    return np.column_stack([known.pupil_dilation, known.running_speed, center])


def _neurons(masks: RoiSet) -> Neurons:
    y, x = (masks.centers() * _UM_PER_PX).T
    z = _TOP_UM + _PLANE_UM * masks.planes
    return Neurons(masks.ids, np.stack([x, y, z], axis=1))
