"""Writes a simulated session as a Sensorium 2023 folder, with tiers and repeats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.core.errors import UserError
from rtrecon.core.types import Array
from rtrecon.datasets.sensorium.trial import SensoriumTrial
from rtrecon.datasets.sensorium.write import NeuronTable, write_folder
from rtrecon.rois.roi_set import RoiSet
from rtrecon.simulate.behavior import ornstein_uhlenbeck_noise
from rtrecon.simulate.imaged_mouse import ImagedMouse
from rtrecon.simulate.movie import RATE_HZ, make_natural_movie
from rtrecon.simulate.session import SimulatedSession, simulate_session

_UM_PER_PX = 14 / 12  # the simulated field's somata are 12 px, about 14 um, apart
_TOP_UM, _PLANE_UM = 200, 25  # depths of the recorded planes
# Pupil position in the camera image: mean of the mice, and how far it moves.
_PUPIL_MEAN_PX, _PUPIL_SD_PX, _PUPIL_TAU_S = (150.0, 145.0), 6.0, 2.0


@dataclass(frozen=True)
class StimulusProgram:
    """The trials of a simulated session, in random order; each trial is one clip.

    train: number of training trials. Each of oracle_movies is shown `repeats` times.
    withheld: trials of the tier `live_test_main`, written without responses. seed:
    determines clips and order.
    """

    train: int = 60
    oracle_movies: int = 6
    repeats: int = 10
    withheld: int = 0
    trial_frames: int = 300
    seed: int = 0

    def __len__(self) -> int:
        return self.train + self.oracle_movies * self.repeats + self.withheld

    def list_trials(self) -> list[tuple[str, int]]:
        """Return tier and clip of each trial, in the order of presentation."""
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
        return [trials[index] for index in shuffled]


def show_program(world: ImagedMouse, program: StimulusProgram) -> SimulatedSession:
    """Show the program to a simulated mouse; raises UserError if it is empty."""
    if len(program) < 1 or program.trial_frames < 1:
        raise UserError("a program needs at least one trial and one frame per trial")
    n_clips = program.train + program.oracle_movies + program.withheld
    n_frames = program.trial_frames
    clips = make_natural_movie(n_clips * n_frames, program.seed, n_frames)
    by_clip = clips.reshape(n_clips, n_frames, *clips.shape[1:])
    movie = by_clip[[clip for _, clip in program.list_trials()]].reshape(
        -1, *clips.shape[1:]
    )
    return simulate_session(world, movie, f"program {program.seed}", program.seed)


def write_simulated_folder(
    path: Path, session: SimulatedSession, program: StimulusProgram, activity: Array
) -> None:
    """Write a session of `show_program`. activity: (T, n), the responses to write."""
    write_folder(
        path,
        _locate_neurons(session.recording.field.masks),
        program.trial_frames,
        _iterate_trials(session, program, activity),
    )


def _iterate_trials(
    session: SimulatedSession, program: StimulusProgram, activity: Array
) -> Iterator[tuple[str, SensoriumTrial]]:
    behavior = _simulate_behavior(session, program.seed)
    for index, (tier, _) in enumerate(program.list_trials()):
        frames = slice(index * program.trial_frames, (index + 1) * program.trial_frames)
        is_withheld = tier == "live_test_main"
        responses = None if is_withheld else activity[frames].astype(np.float32)
        movie = session.movie[frames].astype(np.float32)
        yield tier, SensoriumTrial(movie, behavior[frames], responses)


def _simulate_behavior(session: SimulatedSession, seed: int) -> Array:
    """Return (T, 4): dilation and speed of the session, and a moving pupil center."""
    rng = np.random.default_rng([seed, 13])
    wander = ornstein_uhlenbeck_noise((len(session), 2), _PUPIL_TAU_S * RATE_HZ, rng)
    center = np.array(_PUPIL_MEAN_PX, np.float32) + _PUPIL_SD_PX * wander
    simulated = session.behavior
    return np.column_stack([simulated.pupil_dilation, simulated.running_speed, center])


def _locate_neurons(masks: RoiSet) -> NeuronTable:
    y, x = (masks.compute_centers() * _UM_PER_PX).T
    z = _TOP_UM + _PLANE_UM * masks.planes
    return NeuronTable(masks.ids, np.stack([x, y, z], axis=1))
