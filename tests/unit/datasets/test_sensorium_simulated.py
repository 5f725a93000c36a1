"""Simulated sessions written as Sensorium folders, trial by trial."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from rtrecon.core.errors import UserError
from rtrecon.datasets.sensorium.folder import SensoriumFolder
from rtrecon.datasets.sensorium.simulated import (
    StimulusProgram,
    show_program,
    write_simulated_folder,
)
from tests.support.small_mouse import make_small_mouse

N_NEURONS, SIDE_PX = 12, 96
PROGRAM = StimulusProgram(
    train=4, oracle_movies=2, repeats=3, withheld=2, trial_frames=40, seed=5
)


@pytest.fixture(scope="module")
def mouse():
    return make_small_mouse(N_NEURONS, SIDE_PX, seed=1)


@pytest.fixture(scope="module")
def session(mouse):
    return show_program(mouse, PROGRAM)


@pytest.fixture(scope="module")
def folder(session, tmp_path_factory):
    path = tmp_path_factory.mktemp("simulated") / "mouse"
    write_simulated_folder(path, session, PROGRAM, session.response.spikes)
    return SensoriumFolder(path)


def test_each_trial_holds_its_part_of_the_session(folder, session):
    assert len(folder.tiers) == len(PROGRAM) == 12
    for index, tier in enumerate(folder.tiers):
        frames, trial = slice(40 * index, 40 * (index + 1)), folder.read_trial(index)
        np.testing.assert_array_equal(trial.movie, session.movie[frames])
        dilation, speed = trial.behavior[:, :2].T
        np.testing.assert_array_equal(dilation, session.behavior.pupil_dilation[frames])
        np.testing.assert_array_equal(speed, session.behavior.running_speed[frames])
        if tier == "live_test_main":
            assert trial.responses is None
        else:
            spikes = session.response.spikes[frames]
            np.testing.assert_array_equal(trial.responses, spikes)


def test_tiers_and_repeats_are_those_of_the_program(folder):
    movies = collections.defaultdict(collections.Counter)
    for index, tier in enumerate(folder.tiers):
        movies[tier][folder.read_trial(index).movie.tobytes()] += 1
    shown = {tier: sorted(seen.values()) for tier, seen in movies.items()}
    assert shown == {"train": [1] * 4, "oracle": [3] * 2, "live_test_main": [1] * 2}


def test_neurons_have_the_ids_order_and_positions_of_the_masks(folder, session):
    masks = session.recording.field.masks
    assert folder.unit_ids.tolist() == masks.ids.tolist()
    x, y, z = folder.coordinates_um.T
    assert np.corrcoef(x, masks.compute_centers()[:, 1])[0, 1] > 0.99
    assert np.corrcoef(y, masks.compute_centers()[:, 0])[0, 1] > 0.99
    assert set(z) == {200}


def test_the_pupil_position_has_realistic_mean_and_spread(folder):
    x, y = np.concatenate([folder.read_trial(i).behavior[:, 2:] for i in range(12)]).T
    for coordinate, low, high in ((x, 130, 170), (y, 125, 165)):
        assert low < coordinate.mean() < high
        assert 1 < coordinate.std() < 12


def test_an_empty_program_is_refused(mouse):
    with pytest.raises(UserError, match="needs at least one trial"):
        show_program(mouse, StimulusProgram(train=0, repeats=0))
